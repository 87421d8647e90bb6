"""The report: a score as one page of HTML with its pictures inside."""
