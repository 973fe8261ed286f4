"""Evaluation: a result against a truth, or one annotator against another."""

from __future__ import annotations

from thymusimg.evaluate.compare import evaluate
from thymusimg.evaluate.model import Evaluation
from thymusimg.evaluate.output import as_json, as_text, write_evaluation

__all__ = ["Evaluation", "as_json", "as_text", "evaluate", "write_evaluation"]
