"""Signals at commands, and typing at them: prints "0 what" for each thing that is as it should be, else "1 what".

    interrupts.py TESSERA FOLDER
"""

import fcntl
import json
import os
import pty
import resource
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import time

TESSERA, WORK = sys.argv[1:]
MODEL = "demo/checkpoint"
# An answer that does not end by itself: a penalty below 1 favours the tokens already there.
ENDLESS = ["--raw", "--prompt", "a", "--max-new", "60000", "--repetition-penalty", "0.1"]
# All codes about as likely, the end's among them: with this seed it comes after 980 frames.
LONG_SPEECH = ["--prompt", "a", "--talker-temperature", "1000", "--talker-top-k", "0", "--seed", "8"]
LONG_PROMPT = ["--raw", "--prompt", "The capital of France is Paris. " * 3000, "--context", "24000", "--taps", "thinker.model.norm"]


def say(is_right, text, found=None):
    if not is_right:
        print(f"found {found}", file=sys.stderr)
    print(int(not is_right), text, flush=True)


def catches(pid):
    """Whether the process has a handler for SIGINT."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        caught = [line.split()[1] for line in status if line.startswith("SigCgt")]
    return bool(int(caught[0], 16) & 1 << (signal.SIGINT - 1))


def start(*words, **how):
    return subprocess.Popen([TESSERA, *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)


def interrupt(process, pause=0.2):
    """Sends Ctrl-C once it is waited for; the exit code as a shell has it."""
    deadline = time.time() + 10
    while not catches(process.pid) and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    try:
        code = process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return "nothing"
    return code if code >= 0 else 128 - code


def make_large():
    """A checkpoint of one tensor, 16 GiB of zeros that take no room on disk."""
    n = 16 << 30
    folder = os.path.join(WORK, "large")
    os.mkdir(folder)
    header = json.dumps({"x": {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}}).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + n)
    return folder


def leave_no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def check_end(words, out, number, wanted):
    """A signal once there is more in a file in `out` than a header of sound; the exit code, and what stays."""
    process = start(*words, preexec_fn=leave_no_core)
    while not any(entry.stat().st_size > 1000 for entry in os.scandir(out)) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    code, left = process.wait(20), os.listdir(out)
    say((code, left) == wanted, f"{number.name} of {words[0]}: what is unfinished goes, and what is finished stays", (code, left))


def check_single():
    """Signals that are no Ctrl-C end files in good order; Ctrl-\\ dumps core as ever, and leaves no part of a file."""
    out = os.path.join(WORK, "single")
    os.mkdir(out)
    trace = ["trace", "--model", MODEL, "--ledger", "off", *LONG_PROMPT, "--isa", "reference", "--out", os.path.join(out, "t")]
    speech = ["run", "--model", MODEL, "--ledger", "off", *LONG_SPEECH, "--speak", os.path.join(out, "t.wav")]
    check_end(trace, out, signal.SIGQUIT, (-signal.SIGQUIT, []))
    check_end(speech, out, signal.SIGQUIT, (-signal.SIGQUIT, []))
    for number in (signal.SIGTERM, signal.SIGHUP):
        check_end(trace, out, number, (130, []))
        check_end(speech, out, number, (130, ["t.wav"]))
        os.remove(os.path.join(out, "t.wav"))


def check_files():
    """Both signals of a pair go to a trace that is being written: nothing of it may stay."""
    out = os.path.join(WORK, "stopped")
    os.mkdir(out)
    common = ["--model", MODEL, "--ledger", "off", *LONG_PROMPT]
    for number in (signal.SIGINT, signal.SIGTERM):
        codes = set()
        for _ in range(20):
            process = start("trace", *common, "--out", os.path.join(out, "t"))
            while not os.listdir(out) and process.poll() is None:
                time.sleep(0.001)
            for _ in range(2):
                process.send_signal(number)
                time.sleep(0.0002)
            codes.add(process.wait(10))
        say(codes == {130} and not os.listdir(out), f"{number.name} twice leaves no part of a trace", (codes, os.listdir(out)))


def check_pipes():
    common = ["--model", MODEL, "--memory", "256MiB", "--ledger", "off"]
    for words in (["run"], ["run", "--raw"], ["trace", "--out", os.path.join(WORK, "t")], ["chat"]):
        process = start(*words, *common)
        process.stdin.write(b"half a question")
        process.stdin.flush()
        code = interrupt(process)
        say(code == 130, f"{words[0]} at standard input", code)
    for words in (["tokenize"], ["tokenize", "--jsonl"], ["detokenize"]):
        process = start(*words, "--model", MODEL)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        code = process.wait()
        say(code in (130, -signal.SIGINT), f"{' '.join(words)} at standard input", code)


def check_media():
    """What follows a film that was stopped is not asked without it."""
    with open(os.path.join(WORK, "film"), "w+", encoding="ascii") as file:
        file.write("/video tests/data/media/large/twenty-seconds.mp4\nWhat is it?\n")
        file.seek(0)
        process = subprocess.Popen([TESSERA, "chat", "--model", MODEL, "--memory", "1GiB", "--context", "15000", "--ledger", "off",
                                    "--max-new", "2"],
                                   stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        code = interrupt(process, 0.4)
    answers = process.stdout.read()
    say(code == 130 and not answers, "chat while it prepares a film for a question that follows", (code, answers))


def check_looking():
    """A film is decoded once to learn how long it is: this one for seconds, which shows, and can be stopped."""
    film = os.path.join(WORK, "long.gif")
    subprocess.run([sys.executable, "tests/support/make_media.py", "gif", film, "1280", "720", "3000"], check=True)
    media = ["--model", MODEL, "--memory", "1GiB", "--video", film, "--fps", "0.1"]
    for words in (["run", "--ledger", "off", "--prompt", "x"], ["plan"], ["preprocess", "--out", os.path.join(WORK, "t")]):
        process = start(*words, *media, "--progress", "always")
        time.sleep(0.6)
        code = interrupt(process, 0) if words[0] != "preprocess" else process.send_signal(signal.SIGINT) or -process.wait(10)
        shown = process.stderr.read().decode()
        say(code in (130, signal.SIGINT) and "looking" in shown and "KiB/s" in shown, f"{words[0]} while it looks at a film", (code, shown[-200:]))


def check_checksum():
    process = start("inspect", "--ledger", "off", make_large(), "--tensors", "*", "--checksum")
    code = interrupt(process)
    say(code == 130, "inspect --tensors --checksum", code)


def check_unread():
    """A pipe that is full, and whose reader sleeps."""
    checksum = ["inspect", "--ledger", "off", MODEL, "--checksum"]
    for words in (checksum, [*checksum, "--json"], [*checksum, "--tensors", "*"], ["plan", MODEL], ["plan", MODEL, "--json"]):
        unread, end = os.pipe()
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        os.write(end, bytes(4096))
        process = subprocess.Popen([TESSERA, *words], stdout=end, stderr=subprocess.PIPE)
        code = interrupt(process, 1)
        heard = process.stderr.read().decode()
        say(code == 130 and "interrupted" in heard, f"{' '.join(words)} into a pipe that nobody reads", (code, heard))
        os.close(unread)
        os.close(end)


def check_second():
    """A locked ledger is waited for in a library that knows nothing of Ctrl-C."""
    ledger = os.path.join(WORK, "locked.sqlite")
    common = ["--model", MODEL, "--memory", "256MiB", "--ledger", ledger, "--prompt", "Hi", "--max-new", "1"]
    subprocess.run([TESSERA, "run", *common], check=True, capture_output=True)
    lock = sqlite3.connect(ledger, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    process = start("run", *common)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    waits = process.poll() is None
    began = time.time()
    code = interrupt(process, 0)
    say(waits and code == 130 and time.time() - began < 1, "a second Ctrl-C ends it at once", (waits, code))
    lock.close()


def check_second_files():
    """One step of a long prompt takes longer than the two signals are apart: the end is not the orderly one."""
    out = os.path.join(WORK, "second")
    os.mkdir(out)
    asked = os.path.join(WORK, "long")
    with open(asked, "w", encoding="ascii") as file:
        file.write("The capital of France is Paris. " * 3000)
    cut, codes, left, said = [], set(), [], []
    for quiet in ([], ["--quiet"]):
        for pause in (0.3, 0.6, 1.2, 2.4, 4.8):  # until it is within a step, which a busy machine is late with
            with open(asked, "rb") as question:
                process = subprocess.Popen(
                    [TESSERA, "trace", "--model", MODEL, "--ledger", "off", "--raw", "--isa", "reference", "--threads", "1", "--context",
                     "24000", "--taps", "thinker.model.norm", "--out", os.path.join(out, "t"), *quiet], stdin=question, stderr=subprocess.PIPE)
            while not os.listdir(out) and process.poll() is None:
                time.sleep(0.001)
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            time.sleep(0.13)
            is_cut = process.poll() is None
            process.send_signal(signal.SIGINT)
            codes.add(process.wait(20))
            left += os.listdir(out)
            heard = process.stderr.read().decode()
            if is_cut:
                break
        cut.append(is_cut)
        said.append(heard)
    say(all(cut) and codes == {130} and not left, "a second Ctrl-C leaves no part of a trace", (cut, codes, left))
    say("interrupted" in said[0] and not said[1], "and says that it was one, unless --quiet", said)


def check_truths():
    """Stopped in the ledger, which knows nothing of Ctrl-C, while a float32 truth lies in its folder."""
    truths, ledger = os.path.join(WORK, "truths"), os.path.join(WORK, "truths.sqlite")
    os.mkdir(truths)
    goldens = "tests/golden/b-bf16"
    words = ["verify", "--model", "tests/golden/b", "--ledger", ledger, "--golden", *(os.path.join(goldens, name) for name in os.listdir(goldens))]
    subprocess.run([TESSERA, *words], check=False, capture_output=True)
    cut = False
    for pause in (0.1, 0.3, 0.6, 1, 1.5):
        process = start(*words, env={**os.environ, "TMPDIR": truths})
        while not os.listdir(truths) and process.poll() is None:
            time.sleep(0.001)
        lock = sqlite3.connect(ledger, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        cut = process.poll() is None and bool(os.listdir(truths))
        process.send_signal(signal.SIGINT)
        lock.close()
        process.wait(20)
        if cut:
            break
    say(cut and not os.listdir(truths), "nor a computed truth", (cut, os.listdir(truths)))


def check_words():
    """Every command says that it was interrupted, but for --quiet."""
    common = ["run", "--model", MODEL, "--memory", "256MiB", "--ledger", "off", *ENDLESS]
    for quiet in (False, True):
        process = start(*common, *(["--quiet"] if quiet else []))
        code = interrupt(process, 0.4)
        said = process.stderr.read().decode()
        say(code == 130 and ("tessera run: interrupted" in said) != quiet, f"run {'--quiet does not say' if quiet else 'says'} that it was interrupted", (code, said))


def type_at(words, text):
    """Types at a command on a terminal, ending with one Ctrl-D on a new line; what was shown, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(TESSERA, [TESSERA, *words])
    shown, typed, deadline = b"", False, time.time() + 10
    while time.time() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
        if b"Ctrl-D" in shown and not typed:
            os.write(terminal, text.encode() + b"\n\x04")
            typed = True
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check_held_screen():
    """Ctrl-S holds the screen, so that the answer waits to be written when Ctrl-C comes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(TESSERA, [TESSERA, "run", "--model", MODEL, "--memory", "256MiB", "--ledger", "off", "--quiet", *ENDLESS])
    os.read(terminal, 1)
    os.write(terminal, b"\x13")
    time.sleep(1)
    os.write(terminal, b"\x03")
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    say(code == 130, "Ctrl-C while Ctrl-S holds the screen", code)


def check_terminal():
    shown, code = type_at(["run", "--model", MODEL, "--memory", "256MiB", "--ledger", "off"], "What is the capital of France?")
    say(code == 0 and "Paris." in shown, "run on a terminal says that it reads, and one Ctrl-D ends the question", (shown, code))
    shown, code = type_at(["tokenize", "--model", MODEL], "Hi")
    say(code == 0, "tokenize does the same", (shown, code))


check_single()
check_files()
check_pipes()
check_media()
check_looking()
check_checksum()
check_unread()
check_second()
check_second_files()
check_truths()
check_words()
check_held_screen()
check_terminal()
