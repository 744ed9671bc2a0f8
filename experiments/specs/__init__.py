"""What a run is: specs, designs that vary them, and options read from words and files."""
