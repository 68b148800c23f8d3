# What people type. Logic lives in tools/ and code/papertrail; `make help` lists the targets.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && echo $$p && break; done)
RUN := .venv/bin/python
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE
NO_VENV = $(PYTHON) cannot make a virtual environment. On Debian and Ubuntu install python3-venv (apt install python3-venv), then run make again.
ifeq ($(origin REPO),command line)
export PAPERTRAIL_REPO := $(REPO)
endif

.PHONY: book zip pdf slides offers test prove serve lab grading execute claims status bench picture lock lint clean help

book: .venv/book.done  ## build the site into _build/html (REPO=https://... adds launch buttons)
	$(RUN) tools/build.py

zip: book  ## pack the site into a zip that opens without a network
	$(RUN) tools/zip_site.py

pdf: book .venv/test.done  ## print the course as one PDF (needs Chromium and a Chinese font)
	$(RUN) tools/browser.py && $(RUN) tools/make_pdf.py

slides: book .venv/test.done  ## make slides of each chapter, in _build/slides
	$(RUN) tools/make_slides.py

offers: .venv/book.done .venv/test.done  ## build the site with PDF, zip and slides beside its pages, and links to them
	$(RUN) tools/browser.py && $(RUN) tools/offer.py

test: .venv/test.done .sandbox/sandbox.done  ## prove the course: unit tests, ledger, notebooks, cold build, links, the site in a browser
prove: .venv/test.done .sandbox/sandbox.done  ## the same with every long check, run whole
test: CHECKS = -m "not long"
prove: CHECKS =
test prove:
	$(RUN) tools/browser.py && $(RUN) tools/bubblewrap.py
	$(RUN) tools/build.py --cold
	$(RUN) -m ruff format --check --quiet benchmarks code tests tools && $(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m pytest -n 2 --dist loadfile $(CHECKS)

serve: book  ## show the site at http://localhost:8000
	$(RUN) -m http.server 8000 --bind 127.0.0.1 --directory _build/html

lab: .venv/test.done  ## open copies of the notebooks in JupyterLab, in lab/; your changes there stay
	$(RUN) -m papertrail.plain_notebooks lab
	$(RUN) -m jupyter lab lab $(if $(filter 0,$(shell id -u)),--allow-root)

grading: .venv/grading.done .sandbox/sandbox.done  ## install what assigning and grading need, and try the sandbox
	$(RUN) tools/bubblewrap.py
	$(RUN) -m papertrail.coursework doctor

execute: .venv/test.done  ## re-run notebooks in place, on purpose (NB=book/NAME.ipynb for one)
	$(RUN) tools/execute.py $(NB)

claims: .venv/test.done  ## re-run the ledger's checks
	$(RUN) -m papertrail.claims

status: .venv/test.done  ## measure notebooks, builds and pages, and rewrite the status page's figures
	$(RUN) tools/status.py

bench: .venv/test.done  ## run a short form of every benchmark, in under 10 minutes (PEERS=folder adds other people's code)
	$(RUN) benchmarks/short.py $(if $(PEERS),--peers "$(PEERS)")

picture: .venv/test.done  ## draw the README's picture anew
	$(RUN) tools/picture.py

lock: .venv/test.done  ## resolve requirements/*.lock anew
	$(RUN) tools/lock.py

lint: .venv/test.done  ## format the code, check it and its types
	$(RUN) -m ruff format benchmarks code tests tools
	$(RUN) -m ruff check .
	$(RUN) -m mypy

clean:  ## remove what was built and installed
	rm -rf _build .venv .sandbox .newer .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find book code tests tools -name __pycache__ -prune -exec rm -rf {} +
	rm -rf code/*.egg-info book/.ipynb_checkpoints

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.sandbox/sandbox.done: requirements/learn.lock requirements/torch.lock requirements/torch-cpu.lock tools/install.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found"; exit 1; }
	@.sandbox/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .sandbox || { echo "$(NO_VENV)"; exit 1; }
	.sandbox/bin/python tools/install.py sandbox
	touch $@

.venv/%.done: requirements/%.lock requirements/torch.lock requirements/torch-cpu.lock requirements/corpora.lock pyproject.toml tools/install.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found"; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { echo "$(NO_VENV)"; exit 1; }
	$(RUN) tools/install.py $*
	touch $@
