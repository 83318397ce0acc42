"""The agent: what runs on a target, with Python 3.9 or newer, numpy and the runtime alone.

It is written here in parts and sent as one file (`source`). It is told what to do by frames on standard input and
answers with frames on standard output: `{"do": "hello" | "put" | "measure" | "outputs" | "profile" | "cut_outs" | "count" |
"bye"}` asks; `{"stage": ...}` tells what is being done, `{"ok": ...}` or `{"error": {kind, message, why, hint}}` ends the
answer.

Files live in a folder of its own, which goes when the input ends, at `bye`, and at SIGTERM, SIGHUP and SIGINT. Every
model runs in a child, the same file started again: one that ends its process ends no more than that. Children of one
round are alive side by side and take turns of a few hundredths of a second in random order; a child whose turn it is not
sleeps in a read.
"""
