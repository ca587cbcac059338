"""Runs a command in a pseudo-terminal: its output to stdout, orders from stdin.

in_terminal.py COLUMNS ROWS COMMAND…; an order is a line: `type HEX` (bytes as from a keyboard) or `resize COLUMNS ROWS`.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios


def resize(terminal: int, columns: str, rows: str) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))


columns, rows, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    resize(0, columns, rows)
    os.execvp(command[0], command)
orders: list[int] = [0]
while True:
    ready, _, _ = select.select([terminal, *orders], [], [])
    if terminal in ready:
        try:
            output = os.read(terminal, 65536)
        except OSError:  # the command has closed its side
            break
        if not output:
            break
        os.write(1, output)
    if 0 in ready:
        text = os.read(0, 4096).decode()
        if not text:
            orders = []
        for line in text.splitlines():
            order, *values = line.split()
            if order == "type":
                os.write(terminal, bytes.fromhex(values[0]))
            else:
                resize(terminal, values[0], values[1])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
