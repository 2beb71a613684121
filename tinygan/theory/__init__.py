"""Games so small that theory says what must come out: each study plays one with tinygan and puts both in one picture.

    gauss1d.py    two densities on a line: the best D and the loss that no D can beat are known
    dirac.py      one number for D and one for G: which kinds of steps converge, and how fast

A study is a function study(folder, seed, steps, say): it writes its files into an empty folder that exists, prints a
table with say(text) and returns the numbers in it.
"""
