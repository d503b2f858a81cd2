"""The board: everything that processes share, in one memory segment with a declared layout.

`segment` is the memory, `layout` says what lies where and who writes it, and the other modules give the parts their
meaning: `ring` (records and observations), `snapshots` (parameters), `bell` (waking another process).

One rule carries all of it: every field has exactly one writer. There is no lock to die holding. Stores become visible
to other cores in program order on x86-64 (total store order), which is the only architecture this is argued for.
"""
