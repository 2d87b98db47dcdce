"""Everything a log claims, recomputed by code that shares nothing with the mechanism but the published event formats.

    M   candidates of one auction, index j
    P   parties, index i: advertisers of one link group bid as one, everybody else alone (LoggedAuction.parties)
    τ   `tau`, micros per nat

Pure: no I/O but temporary files, no clock, no numpy. `auditor.Audit` takes entries one by one.
"""
