"""Who was active on a chain: exact counts of distinct addresses in any window that is kept.

A chain is followed block by block. The blocks of a minute are a leaf (leaves), whole hours and
days are rolled up (rolling), and a window is the union of what lies in it (windows): distinct
addresses are never summed. A leaf is replaced, never added to, so that neither a fork nor a second
scanner counts anything twice (storing, scanning). Days are sealed with sketches that are kept for
ever (sealing).
"""
