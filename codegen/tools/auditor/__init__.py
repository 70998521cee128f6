"""Verify a backward pass that somebody else wrote: by hand, by a framework, in any array library that has a backend.

Data flows one way. A callable becomes a Submission, and an op a pair of Systems. Both are evaluated on Samples. Differences are
explained by Alterations of the systems' equations, and end in a Report.
"""

from codegen.tools.auditor.audit import audit
from codegen.tools.auditor.files import audit_file
from codegen.tools.auditor.load import load_file
from codegen.tools.auditor.report import Counterexample, Diagnosis, Finding, Remark, Report

__all__ = ["Counterexample", "Diagnosis", "Finding", "Remark", "Report", "audit", "audit_file", "load_file"]
