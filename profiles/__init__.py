"""Summary statistics that merge by addition, and the tests of drift over them.

What updates a profile on a device (`counting`), describes it (`spec`, `layout`, `cells`, `profile`) and writes it (`wire`)
needs the standard library alone. numpy is imported where whole columns or many reports are at work.
"""
