"""Speed, measured side by side: every variant in turn, in one run, as ratios with their spread.

A ratio of two things measured in one run says something on any machine; seconds do not. So each
command of `python -m cirdemo bench` prints ratios with the targets they are held against, met or
not, and says what the machine was doing meanwhile.
"""
