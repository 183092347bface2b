# Everything a clone needs is made here: `make quickstart` or `make test` is all there is to type.
PYTHON ?= python3
BIN := .venv/bin
# The processes that tests start find compiled what the first of them has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart test test-unit test-system coverage docs site test-docs mutations notebooks lint types pinned format fuzz kills bench-sentiment bench-chargen bench-layers bench-crf bench-tagging bench-update bench-translation bench-serving bench-forecasting bench-tuning bench-scale bench-cells bench-transfer bench-answers bench-startup bench-demo clean

quickstart: .venv/.installed
	$(BIN)/rnnapps quickstart

# A file is one worker's, whose fixtures it keeps; tests/conftest.py has them in the best order.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder \
    --durations=25

# Units, and the five applications with their defaults, tiny.
test: lint
	$(PYTEST) -m "not system"

test-unit: .venv/.installed-dev
	$(PYTEST) -m "not system" tests/unit

# The unit tier, and which lines of rnnapps it does not run.
coverage: .venv/.installed-dev
	$(PYTEST) tests/unit --cov --cov-report=term:skip-covered

# The documentation: the site, and the tests of what it says.
docs: site test-docs

# The site, in site/. A broken link fails, and so does a public name that nothing is said of.
site: .venv/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The examples of docstrings and pages, the tree in docs/architecture.md, the READMEs' commands.
test-docs: .venv/.installed-dev
	$(PYTEST) tests/unit/test_architecture.py tests/apps/test_docs_pages.py \
	    tests/apps/test_docstrings.py tests/system/test_readme.py

# Whether the tests find faults that are put into the code one by one: tests/mutations/README.md.
mutations: .venv/.installed-dev
	$(BIN)/python tests/mutations/run.py

# Processes that are started and killed, copied applications, documents, the C++ loader; other cells,
# replicas, XLA, searches, updates.
test-system: .venv/.installed-dev
	$(PYTEST) -m system

# Runs every notebook from top to bottom on embedded data; the files stay as they are.
notebooks: .venv/.installed-dev
	TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 \
	    $(BIN)/python -m pytest --nbmake --nbmake-timeout=900 --numprocesses auto notebooks

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The types in the files that pyproject.toml names, which are to become all.
types: .venv/.installed-dev
	$(BIN)/python -m mypy

# 10,000 requests of every wrong kind to the local server; make test sends 200.
fuzz: .venv/.installed-dev
	RNNAPPS_FUZZ=10000 $(BIN)/python -m pytest tests/unit/serving/test_fuzz.py

# 60 kills at random moments of train, save, export and tune; after each the next command has to work.
kills: .venv/.installed-dev
	$(BIN)/python tests/system/kills.py

format: .venv/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make bench-sentiment DATA_DIR=a tensorflow_datasets folder that holds imdb_reviews
bench-sentiment: .venv/.installed-dev
	$(BIN)/python benchmarks/sentiment.py $(if $(DATA_DIR),--data-dir $(DATA_DIR))

# make bench-chargen DATA_DIR=a tensorflow_datasets folder that holds tiny_shakespeare
bench-chargen: .venv/.installed-dev
	$(BIN)/python benchmarks/chargen.py $(if $(DATA_DIR),--data-dir $(DATA_DIR)) $(ROWS)

bench-layers: .venv/.installed-dev
	$(BIN)/python benchmarks/layers.py

bench-crf: .venv/.installed-dev
	$(BIN)/python benchmarks/crf.py

# make bench-tagging DATA_DIR=a folder that holds ud_english_ewt, wnut17, resume_ner [ROWS='wnut17']
bench-tagging: .venv/.installed-dev
	$(BIN)/python benchmarks/tagging.py --data-dir $(DATA_DIR) $(ROWS)

# make bench-update DATA=a folder with rt-polarity.neg and rt-polarity.pos
bench-update: .venv/.installed-dev
	$(BIN)/python benchmarks/update.py $(DATA)

# make bench-translation DATA_DIR=a tensorflow_datasets folder for multi30k [ROWS='de-en speed']
bench-translation: .venv/.installed-dev
	$(BIN)/python benchmarks/translation.py $(if $(DATA_DIR),--data-dir $(DATA_DIR)) $(ROWS)

bench-serving: .venv/.installed-dev
	$(BIN)/python benchmarks/serving.py

# make bench-forecasting DATA_DIR=a folder of ETTh1.csv, airline-passengers.csv and pollution.csv
bench-forecasting: .venv/.installed-dev
	$(BIN)/python benchmarks/forecasting.py --data-dir $(DATA_DIR) $(ROWS)

# make bench-scale [DATA_DIR=a tensorflow_datasets folder of the recipes] [ROWS='chargen equal']
bench-scale: .venv/.installed-dev
	$(BIN)/python benchmarks/scale.py $(if $(DATA_DIR),--data-dir $(DATA_DIR)) $(ROWS)

# make bench-cells DATA_DIR=a folder of all five data sets [RUNS=a folder, where a killed one goes on] [ROWS='chargen tagging']
bench-cells: .venv/.installed-dev
	$(BIN)/python benchmarks/cells.py --data-dir $(DATA_DIR) $(if $(RUNS),--runs $(RUNS)) $(ROWS)

# make bench-transfer IMDB=a tensorflow_datasets folder RT=rt_polarity's folder WAIMAI=waimai_10k.csv RUNS=a folder [ROWS='imdb pairs']
bench-transfer: .venv/.installed-dev
	$(BIN)/python benchmarks/transfer.py --imdb $(IMDB) --rt-polarity $(RT) --waimai $(WAIMAI) --runs $(RUNS) $(ROWS)

# make bench-answers [ROWS='first kills workers']
bench-answers: .venv/.installed-dev
	$(BIN)/python benchmarks/answers.py $(ROWS)

# make bench-demo EXPORTS='saved_models/sentiment saved_models/chargen', with Chromium
bench-demo: .venv/.installed-dev
	$(BIN)/python benchmarks/demo.py $(EXPORTS)

bench-startup: .venv/.installed-dev
	$(BIN)/python benchmarks/startup.py

# make bench-tuning [DATA_DIR=a tensorflow_datasets folder that holds imdb_reviews] [ROWS=kills]
bench-tuning: .venv/.installed-dev
	$(BIN)/python benchmarks/tuning.py $(if $(DATA_DIR),--data-dir $(DATA_DIR)) $(ROWS)

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rnnapps needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# The very versions that the checks on GitHub run with.
pinned: .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt

.venv/.installed: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[serving]'
	touch $@

.venv/.installed-dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,serving]'
	touch $@ .venv/.installed

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache
