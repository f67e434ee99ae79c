#!/usr/bin/env python3
"""Tests of the program `nq`: what its manual promises, sentence by sentence.

usage: run_cli.py NQ SANITIZERS MODULE

MODULE is one of the files beside this one (usage, inputs, outputs, ...); SANITIZERS is what the
program was built with, "none" or else. Prints TAP.
"""

import importlib
import os
import sys

from harness import run_module

if __name__ == "__main__":
    program, sanitizers, name = sys.argv[1:4]
    sys.exit(run_module(importlib.import_module("test_" + name), os.path.abspath(program),
                        sanitizers != "none"))
