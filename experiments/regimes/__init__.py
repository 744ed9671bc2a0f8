"""Where does PPO fail? A grid of noise, length and critics, searched before any component of VAPO is judged."""
