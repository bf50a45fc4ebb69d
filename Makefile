# Everything runs in .venv; `make setup` makes it, and every target below calls that first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint clean distclean

IN_VENV := . .venv/bin/activate &&

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## Make .venv: Python packages, ROS 2 where none is sourced, messages
	@scripts/setup.sh

demo: setup ## Play a simulated robot into the real node; ends with demo/map.ply
	$(IN_VENV) reconx demo

lint: setup ## Check style and types
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy

# Nodes keep time with clocks: their tests come after those that keep the cores busy, and a failure among
# them is looked at once more.
test: lint ## All checks and all tests, with a coverage report
	$(IN_VENV) pytest --ignore=test/ros -n 2 --dist loadfile --cov=reconx_ros --cov-report= --durations=10
	$(IN_VENV) pytest test/ros -n 2 --dist loadfile --cov=reconx_ros --cov-append --cov-report=term:skip-covered \
		--durations=10 || python scripts/retest.py

clean: ## Remove what builds, tests and the demo left
	rm -rf build install log dist demo htmlcov .coverage* .hypothesis .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	rm -rf .venv
