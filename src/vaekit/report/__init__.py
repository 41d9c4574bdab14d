"""The report of a run: one file, `report.html`, that opens anywhere without a network.

Importing this package loads neither matplotlib nor jinja2; writing a report does.
"""

from vaekit.report.page import report_html
from vaekit.report.parts import Figure, Picture
from vaekit.report.write import write_report

__all__ = ["Figure", "Picture", "report_html", "write_report"]
