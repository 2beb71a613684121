"""`tinygan play`: a game on points in the browser, with this program behind it. Each button runs lines of GAN.step.

    game.py      the game: rounds, steps and lines played by hand, and back
    scenes.py    games that are ready to be played: known failures, and what cures each
    lines.py     the program's own source, its equations and their proofs
    server.py    the one door: HTTP on this machine alone
    play.html, play.css, play.js    the page
"""
