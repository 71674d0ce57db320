"""Files for the test servers of CIRR and CIRCO, and the same form for runs on any split.

A file is a JSON object: query id -> picture ids, best first. CIRR's also say "version" and
"metric"; FashionIQ has no server, its runs name queries as `data.benchmarks` does ("dress-0").
"""
