"""Verify a backward pass that somebody else wrote: by hand, by a framework, in any array library that has a backend.

Data flows one way: a callable becomes a Submission, an op a pair of Systems, both meet on Samples; what differs is
explained by Alterations of the systems' equations, and everything ends in a Report.
"""

from codegen.tools.auditor.audit import audit
from codegen.tools.auditor.load import load_file
from codegen.tools.auditor.report import Counterexample, Diagnosis, Finding, Remark, Report

__all__ = ["Counterexample", "Diagnosis", "Finding", "Remark", "Report", "audit", "load_file"]
