"""The Python package over a real store. Run under with_store, which gives each run a new one of 12 MiB, 64 counters,
8 participants, 4 striped counters; the name of the class of tests is the argument."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import MutableMapping
from datetime import timedelta

import clusterd


def in_child(body):
    """Forks, runs, and returns the exit code of the child."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
        except BaseException as reason:
            print(repr(reason), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Counters(unittest.TestCase):
    def test_operations(self):
        hits = clusterd.counter("hits")
        self.assertEqual(hits.get(), 0)
        self.assertEqual(hits.add(), 1)
        self.assertEqual(hits.add(-5), -4)
        hits.set(40)
        self.assertEqual(hits.exchange(41), 40)
        self.assertEqual(hits.compare_exchange(7, 9), (False, 41))
        self.assertEqual(hits.compare_exchange(41, 9), (True, 41))
        hits += 2
        hits -= 1
        self.assertEqual((hits.value, int(hits)), (10, 10))
        self.assertIs(hits, clusterd.counter("hits"))
        self.assertEqual(repr(hits), "<clusterd.Counter 'hits' = 10>")

    def test_by_what(self):
        from clusterd import _calls

        expected = os.environ.get("COUNTING", _calls.CounterCalls.__module__)
        self.assertEqual(_calls.CounterCalls.__module__, expected)

    def test_arguments_of_add(self):
        for hits in (clusterd.counter("exact argument"), clusterd.striped_counter("many arguments")):
            hits.add(amount=3)
            hits.add(True)
            for wrong in ((1, 2), ("1",), (None,)):
                with self.assertRaises(TypeError):
                    hits.add(*wrong)
            with self.assertRaises(TypeError):
                hits.add(number=1)
            with self.assertRaises(clusterd.NumberRangeError):
                hits.add(1 << 64)
            self.assertEqual(hits.get(), 4)

    def test_numbers_of_64_bits(self):
        edge = clusterd.counter("edge")
        edge.set((1 << 63) - 1)
        self.assertEqual(edge.add(1), -(1 << 63))
        for number in (1 << 63, -(1 << 63) - 1):
            with self.assertRaises(clusterd.NumberRangeError):
                edge.add(number)
            with self.assertRaises(OverflowError):
                edge.set(number)
        with self.assertRaises(TypeError):
            edge.add("1")
        self.assertEqual(edge.get(), -(1 << 63))

    def test_striped(self):
        many = clusterd.striped_counter("many")
        for _ in range(100):
            many.add(2)
        many += 1
        self.assertEqual(many.value, 201)
        with self.assertRaises(clusterd.WrongTypeError):
            clusterd.counter("many")
        clusterd.counter("exact")
        with self.assertRaises(clusterd.WrongTypeError):
            clusterd.striped_counter("exact")

    def test_names(self):
        for name in ("", "x" * 129, "zero\0byte", "half \ud800"):
            with self.assertRaises(clusterd.CounterNameError, msg=repr(name)):
                clusterd.counter(name)
            with self.assertRaises(ValueError):
                clusterd.counter(name)
        self.assertEqual(clusterd.counter("schäfchen 🐑").add(3), 3)
        found = {each.name: each for each in clusterd.store().counters()}
        self.assertEqual(found["schäfchen 🐑"], ("schäfchen 🐑", False, 3))


class CountersFull(unittest.TestCase):
    def test_counter_table_full(self):
        for i in range(4):
            clusterd.striped_counter(f"s{i}")
        with self.assertRaises(clusterd.CountersFullError):
            clusterd.striped_counter("one too many")
        with self.assertRaises(clusterd.CountersFullError) as caught:
            for i in range(64):
                clusterd.counter(f"n{i}")
        self.assertGreaterEqual(i, 59)
        self.assertIn("[store] counters", str(caught.exception))


class Table(unittest.TestCase):
    def setUp(self):
        self.table = clusterd.table
        self.table.clear()

    def test_it_is_a_mapping(self):
        self.assertIsInstance(self.table, MutableMapping)
        self.assertFalse(self.table)
        self.table["k"] = "vé"
        self.table[b"\x00\xff"] = bytearray(b"\x00\x01")
        self.assertTrue(self.table)
        self.assertEqual(self.table["k"], "vé".encode())
        self.assertEqual(self.table[memoryview(b"k")], "vé".encode())
        self.assertEqual(len(self.table), 2)
        self.assertIn("k", self.table)
        self.assertNotIn("other", self.table)
        self.assertNotIn(5, self.table)
        self.assertEqual(dict(self.table.items()), {b"k": "vé".encode(), b"\x00\xff": b"\x00\x01"})
        self.assertEqual(sorted(self.table), [b"\x00\xff", b"k"])
        self.assertEqual(sorted(self.table.values()), [b"\x00\x01", "vé".encode()])
        self.assertEqual(self.table.get("other", "default"), "default")
        self.assertEqual(self.table.pop("k"), "vé".encode())
        self.assertEqual(self.table.pop("k", None), None)
        self.assertEqual(self.table.setdefault("k", "first"), b"first")
        self.assertEqual(self.table.setdefault("k", "second"), b"first")
        self.table.update({"a": "1", "b": "2"})
        del self.table["a"]
        with self.assertRaises(KeyError):
            del self.table["a"]
        self.assertEqual(self.table.popitem()[0] in (b"k", b"b", b"\x00\xff"), True)
        self.table.clear()
        self.assertEqual(len(self.table), 0)
        with self.assertRaises(KeyError):
            self.table.popitem()

    def test_missing_keys(self):
        for ask in (lambda: self.table["k"], lambda: self.table.pop("k"), lambda: self.table.replace("k", "v"),
                    lambda: self.table.cas("k", "v", 1)):
            with self.assertRaises(clusterd.KeyMissingError) as caught:
                ask()
            self.assertIsInstance(caught.exception, KeyError)
        self.assertIn("no such key: 'k'", str(clusterd.table._missing("k")))
        self.assertIsNone(self.table.entry("k"))
        self.assertFalse(self.table.delete("k"))
        self.assertIsNone(self.table.getdel("k"))

    def test_conditional_writes(self):
        token = self.table.add("k", "one")
        with self.assertRaises(clusterd.KeyExistsError):
            self.table.add("k", "two")
        self.assertEqual(self.table.entry("k"), (b"one", token, None))
        newer = self.table.cas("k", "two", token)
        with self.assertRaises(clusterd.StaleTokenError):
            self.table.cas("k", "three", token)
        self.assertNotEqual(newer, token)
        self.table.replace("k", "four")
        self.assertEqual(self.table.getdel("k"), b"four")

    def test_numbers(self):
        self.assertEqual(self.table.incr("n"), 1)
        self.assertEqual(self.table.incr("n", 10), 11)
        self.assertEqual(self.table.decr("n", 20), -9)
        self.assertEqual(self.table["n"], b"-9")
        self.table["t"] = "text"
        with self.assertRaises(clusterd.WrongTypeError) as caught:
            self.table.incr("t")
        self.assertIsInstance(caught.exception, TypeError)
        self.table["n"] = str((1 << 63) - 1)
        with self.assertRaises(clusterd.NumberRangeError):
            self.table.incr("n")
        with self.assertRaises(clusterd.NumberRangeError):
            self.table.incr("n", 1 << 64)

    def test_limits(self):
        longest, largest = b"k" * clusterd.MAX_KEY_BYTES, os.urandom(clusterd.MAX_VALUE_BYTES)
        self.table[longest] = largest
        self.assertEqual(self.table[longest], largest)
        self.assertEqual(dict(self.table.items()), {longest: largest})
        for key in (b"", longest + b"k"):
            with self.assertRaises(clusterd.KeySizeError):
                self.table[key] = b""
            with self.assertRaises(ValueError):
                self.table.get(key)
            with self.assertRaises(clusterd.KeySizeError):
                key in self.table
        with self.assertRaises(clusterd.ValueSizeError):
            self.table[longest] = largest + b"v"
        self.assertEqual(self.table.pop(longest), largest)
        for wrong in (5, None, ["k"]):
            with self.assertRaises(TypeError):
                self.table[wrong] = b""
            with self.assertRaises(TypeError):
                self.table["k"] = wrong

    def test_time_to_live(self):
        self.table.set("long", "v", ttl=timedelta(hours=1))
        self.assertTrue(3500 < self.table.entry("long").ttl <= 3600)
        self.table.set("ever", "v", ttl=1e300)
        self.assertIn("ever", self.table)
        for wrong in (0, -1, float("nan")):
            with self.assertRaises(ValueError):
                self.table.set("k", "v", ttl=wrong)
        begin = time.monotonic()
        self.table.set("short", "v", ttl=0.1)
        while "short" in self.table and time.monotonic() < begin + 60:
            select.select([], [], [], 0.005)
        self.assertNotIn("short", self.table)
        self.assertGreaterEqual(time.monotonic() - begin, 0.08)

    def test_statistics(self):
        self.table["key"] = "value"
        stats = clusterd.store().stats()
        self.assertEqual((stats.keys, stats.bytes, stats.segment_bytes), (1, 8, 12 << 20))
        self.assertEqual((stats.counters_limit, stats.participants_limit), (64, 8))
        self.assertEqual(stats.classes[0].block_bytes, 64)


class TableFull(unittest.TestCase):
    def test_full(self):
        value, keys = b"x" * 1000, 0
        with self.assertRaises(clusterd.StoreFullError) as caught:
            while keys < 20000:
                clusterd.table[f"key {keys}"] = value
                keys += 1
        self.assertIn("[store] size", str(caught.exception))
        self.assertGreater(keys, 4000)
        self.assertEqual(clusterd.table["key 7"], value)
        clusterd.table.clear()
        clusterd.table["key 7"] = value


class Processes(unittest.TestCase):
    TIMES = 5000

    def count(self):
        for _ in range(self.TIMES):
            clusterd.counter("exact").add()
            clusterd.striped_counter("many").add()
            clusterd.table.incr("n")

    def totals(self):
        return (clusterd.counter("exact").get(), clusterd.striped_counter("many").get(), int(clusterd.table["n"]))

    def test_threads_and_forked_children(self):
        self.count()
        children = [threading.Thread(target=lambda: self.assertEqual(in_child(self.count), 0)) for _ in range(3)]
        threads = [threading.Thread(target=self.count) for _ in range(3)]
        for thread in children + threads:
            thread.start()
        for thread in children + threads:
            thread.join()
        self.assertEqual(self.totals(), (7 * self.TIMES,) * 3)

    def test_no_place_left(self):
        done, go = threading.Semaphore(0), threading.Event()
        failures = []

        def join():
            try:
                clusterd.store().join()
            except clusterd.NoPlaceError as reason:
                failures.append(str(reason))
            done.release()
            go.wait()
            clusterd.store().leave()

        threads = [threading.Thread(target=join) for _ in range(10)]
        for thread in threads:
            thread.start()
        for _ in threads:
            done.acquire()
        go.set()
        for thread in threads:
            thread.join()
        self.assertTrue(2 <= len(failures) <= 3, failures)
        self.assertIn("[store] participants", failures[0])

    def test_killed_children_harm_nobody(self):
        def child():
            while True:
                clusterd.table["k"] = b"x" * 3000
                os.write(writer, b"!")

        for _ in range(20):
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                child()
            os.close(writer)
            os.read(reader, 1)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)
        self.assertEqual(clusterd.table["k"], b"x" * 3000)

    def test_a_preforking_server(self):
        # As gunicorn --preload: opened in the master, used in the workers and in what they fork again.
        store = clusterd.store()
        hits = store.counter("requests")
        hits.add()

        def worker():
            hits.add()
            store.table.incr("by workers")
            if in_child(lambda: (hits.add(), store.table.incr("by workers"))) != 0:
                raise SystemExit(1)

        self.assertEqual([in_child(worker) for _ in range(10)], [0] * 10)
        self.assertEqual((hits.get(), store.table["by workers"]), (21, b"20"))


class Opening(unittest.TestCase):
    """What other environments give, each in a process of its own."""

    def attempt(self, variable, **arguments):
        program = "import clusterd\ntry: clusterd.store()\nexcept clusterd.Error as e: print(type(e).__name__, e.errno, e)"
        environment = {**os.environ, **({} if variable is None else {"CLUSTER_STORE": variable})}
        if variable is None:
            del environment["CLUSTER_STORE"]
        return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True,
                              check=True, **arguments).stdout

    def test_importing_opens_nothing(self):
        environment = {key: value for key, value in os.environ.items() if key != "CLUSTER_STORE"}
        subprocess.run([sys.executable, "-c", "import clusterd"], env=environment, check=True)

    def test_outside_of_clusterd(self):
        said = self.attempt(None)
        self.assertTrue(said.startswith("NoStoreError"), said)
        self.assertIn("clusterctl start", said)

    def test_wrong_addresses(self):
        text = os.environ["CLUSTER_STORE"]
        number = int(text.split(":")[1])
        inherit = {"pass_fds": [number]}
        self.assertEqual(self.attempt(text, **inherit), "")
        self.assertTrue(self.attempt("v1:x", **inherit).startswith("AddressError"))
        *others, generation = text.split(":")
        another = ":".join([*others, str(int(generation) ^ 1)])
        self.assertTrue(self.attempt(another, **inherit).startswith("NotTheStoreError"))
        # subprocess closes what it is not told of, and there is no CLUSTER_SOCKET to ask.
        self.assertTrue(self.attempt(text).startswith("NotTheStoreError"))

    def test_another_layout_version(self):
        import mmap

        number = int(os.environ["CLUSTER_STORE"].split(":")[1])
        with mmap.mmap(number, 4096) as page:
            page[8:12] = (2).to_bytes(4, "little")
            try:
                said = self.attempt(os.environ["CLUSTER_STORE"], pass_fds=[number])
            finally:
                page[8:12] = (1).to_bytes(4, "little")
        self.assertTrue(said.startswith("LayoutVersionError"), said)

    def test_reading_only(self):
        clusterd.table["k"] = "v"
        reader = clusterd.Store(read_only=True)
        self.assertEqual(reader.table["k"], b"v")
        for change in (lambda: reader.table.set("k", "w"), lambda: reader.table.delete("k"),
                       lambda: reader.counter("new"), reader.join):
            with self.assertRaises(clusterd.ReadOnlyError):
                change()

    def test_without_the_library(self):
        environment = {**os.environ, "LIBCLUSTER_PATH": "/nowhere/libcluster.so.0"}
        said = subprocess.run([sys.executable, "-c", "import clusterd"], env=environment, capture_output=True,
                              text=True, check=False)
        self.assertIn("ImportError: clusterd needs libcluster.so.0", said.stderr)

    def test_versions_agree(self):
        from clusterd import _library

        self.assertEqual(clusterd.__version__, _library.version().decode())


class Declarations(unittest.TestCase):
    def test_every_function_is_called_with_what_the_header_says(self):
        """Counts the parameters that cluster.h declares."""
        from clusterd import _library

        with open(os.environ["CLUSTER_HEADER"], encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
        declared = {name: 0 if inside.strip() == "void" else inside.count(",") + 1
                    for name, inside in re.findall(r"\bcluster_(\w+)\(([^)]*)\);", text)}
        used = {name: len(function.argtypes) for name, function in vars(_library).items()
                if getattr(function, "argtypes", None) is not None}
        self.assertGreater(len(used), 15)
        self.assertEqual(used, {name: declared[name] for name in used})


if __name__ == "__main__":
    unittest.main()
