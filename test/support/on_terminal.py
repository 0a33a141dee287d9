"""Runs a command on a pseudo terminal: on_terminal.py COLUMNS COMMAND ...

Prints what the terminal got. The lines of standard input are typed one after another once the command has written:
`^C` and `^D` are those keys, `redraws N` waits until the row was drawn that often again, and `resize COLUMNS` resizes the terminal and is printed as [COLUMNS].
"""
import fcntl, os, pty, select, struct, sys, termios, time

KEYS = {"^C": b"\x03", "^D": b"\x04"}
PAUSE = 0.15
redraws = 0
awaited = 0
steps = [line for line in sys.stdin.read().split("\n") if line]


def resize(columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))


def step(text):
    global awaited
    word, _, value = text.partition(" ")
    if word == "redraws":
        awaited = redraws + int(value)
    elif word == "resize":
        resize(value)
        sys.stdout.buffer.write(f"[{value}]".encode())
    else:
        os.write(terminal, KEYS.get(text, text.encode() + b"\n"))


child, terminal = pty.fork()
if child == 0:
    time.sleep(0.1)  # until the size is set
    os.execvp(sys.argv[2], sys.argv[2:])
resize(sys.argv[1])
due = None
while True:
    if due is not None and steps and redraws >= awaited and time.monotonic() >= due:
        step(steps.pop(0))
        due = time.monotonic() + PAUSE
    if not select.select([terminal], [], [], 0.02)[0]:
        continue
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break  # the last process has closed the terminal
    if not data:
        break
    if due is None:
        due = time.monotonic() + PAUSE
    redraws += data.count(b"\x1b[K")
    sys.stdout.buffer.write(data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
