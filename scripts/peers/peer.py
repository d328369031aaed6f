"""What the workers of both Python peers share: the experiment, read from files, and the loop that answers requests.

A request is one JSON object a line:
    {"case": {...}, "folder": ..., "dtype": ..., "threads": n}   reads params.bin, x.bin and v.bin, replies {"versions"}
    {"run": way, "times": n, "result": path or null}             replies {"ms": [...]}, writes the product
    {"memoryOf": way}                                            replies {"bytes"}: how much one product raised the peak
"""

import json
import sys
import time


def read(request, name):
    """The bytes of the numbers, writable."""
    with open(f"{request['folder']}/{name}.bin", "rb") as file:
        return bytearray(file.read())


def kind_of_inputs(request):
    """The numbers of the batch: of the experiment's precision, or tokens."""
    return request["dtype"] if request["case"].get("vocabulary") is None else "int64"


def peak_resident_bytes():
    """Linux keeps the peak of this program in VmHWM; getrusage would include the parent's before exec."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def serve(make_experiment, to_bytes):
    """`make_experiment(request)` gives ({way: function returning a finished flat array}, versions); `to_bytes(array)` are
    its numbers in float64."""
    ways = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "case" in request:
            ways, run, result = {}, None, None  # with what they keep of the last case
            ways, versions = make_experiment(request)
            reply = {"versions": versions}
        elif "memoryOf" in request:
            before = peak_resident_bytes()
            ways[request["memoryOf"]]()
            reply = {"bytes": peak_resident_bytes() - before}
        else:
            run = ways[request["run"]]
            milliseconds = []
            for _ in range(request["times"]):
                start = time.perf_counter()
                result = run()
                milliseconds.append((time.perf_counter() - start) * 1e3)
            if request.get("result"):
                with open(request["result"], "wb") as file:
                    file.write(to_bytes(result))
            reply = {"ms": milliseconds}
        print(json.dumps(reply), flush=True)


class Lazy:
    """A value made at its first use, so that a way's set-up is paid by that way only."""

    def __init__(self, make):
        self.make, self.made = make, None

    def __call__(self):
        if self.made is None:
            self.made = self.make()
        return self.made
