// The shared store from the daemon's side: who gets it, that it stays the same one, how it is
// looked into, and that nothing that is written into it hurts the daemon.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <string>

#include "store/attach.hpp"
#include "support/daemon.hpp"
#include "support/keys.hpp"
#include "sys/shared_memory.hpp"

namespace cluster::test {
namespace {

std::vector<std::string> storer(const std::vector<std::string>& steps) {
    std::vector<std::string> command{worker_program("storer")};
    command.insert(command.end(), steps.begin(), steps.end());
    return command;
}

/// What the worker said of itself, once it has said all.
std::string words_of(const Daemon& daemon, const std::string& id) {
    REQUIRE(wait_until([&] { return daemon.out_log(id).find("done\n") != std::string::npos; }));
    return daemon.out_log(id);
}

/// "INODE GENERATION" behind a word.
std::string identity_in(const std::string& words, const std::string& word) {
    const auto at = words.find(word + " ");
    if (at == std::string::npos) return "none";
    const auto from = at + word.size() + 1;
    return words.substr(from, words.find('\n', from) - from);
}

Json store_json(const Daemon& daemon, std::vector<std::string> words) {
    words.insert(words.begin(), "store");
    words.emplace_back("--json");
    const Outcome outcome = daemon.ctl(words);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return Json::parse(outcome.out);
}

std::string identity_of_store(const Daemon& daemon, const std::string& name = "default") {
    const Json stats = store_json(daemon, {"stats", "--store", name});
    return std::to_string(stats.at("inode").get<std::uint64_t>()) + " " +
           stats.at("generation").get<std::string>();
}

long participants_of(const Daemon& daemon) {
    return store_json(daemon, {"stats"}).at("participants").at("used").get<long>();
}

Outcome store(const Daemon& daemon, std::vector<std::string> words) {
    words.insert(words.begin(), "store");
    return daemon.ctl(words);
}

/// The segment as a worker has it, which keeps it open.
sys::UniqueFd segment_of(const Daemon& daemon, const std::string& id) {
    const std::string process = "/proc/" + std::to_string(daemon.pid_of(id));
    const std::string name = "CLUSTER_STORE=v1:";
    int number = -1;
    std::ifstream environment(process + "/environ");
    for (std::string entry; std::getline(environment, entry, '\0');) {
        if (entry.rfind(name, 0) == 0) number = std::stoi(entry.substr(name.size()));
    }
    const std::string path = process + "/fd/" + std::to_string(number);
    sys::UniqueFd fd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    REQUIRE(fd.get() >= 0);
    return fd;
}

/// Of a memory file, the bytes that a process which reads all of it finds in huge pages.
long huge_bytes_of(const sys::UniqueFd& fd) {
    constexpr std::size_t kPage = 4096;
    const auto file = sys::inspect_memory_file(fd.get());
    REQUIRE(file);
    constexpr std::size_t kHugePage = std::size_t{2} << 20U;
    const auto mapping = sys::map_shared_aligned(fd.get(), file->bytes, false, kHugePage);
    REQUIRE(mapping);
    const auto* const bytes = mapping->as<const volatile char>();
    for (std::size_t at = 0; at < file->bytes; at += kPage) static_cast<void>(bytes[at]);
    char first[32];
    std::snprintf(first, sizeof first, "%lx-", reinterpret_cast<unsigned long>(bytes));
    std::ifstream maps("/proc/self/smaps");
    bool is_ours = false;
    for (std::string line; std::getline(maps, line);) {
        if (line.find("-") < line.find(" ")) is_ours = line.rfind(first, 0) == 0;
        const std::string field = "ShmemPmdMapped:";
        if (!is_ours || line.rfind(field, 0) != 0) continue;
        return std::stol(line.substr(field.size())) * 1024;
    }
    return 0;
}

bool has_huge_pages() {
    constexpr std::size_t kBytes = std::size_t{2} << 20U;
    const auto file = sys::open_memory_file("huge", kBytes);
    return file && sys::collapse_memory(file->get(), kBytes);
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("store/handed over: a worker inherits it, and gets it again from its socket") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("w", storer({"inherited", "ask"}), kAtOnce)).code == 0);
        const std::string words = words_of(daemon, "w.0");
        const std::string identity = identity_of_store(daemon);
        CHECK(identity_in(words, "inherited") == identity);
        CHECK(identity_in(words, "asked") == identity);
        struct stat info {};
        REQUIRE(::stat((daemon.dir() / "run/attach/w.0.sock").c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0600);
        REQUIRE(daemon.ctl({"stop", "w"}).code == 0);
        CHECK(wait_until(
            [&] { return ::stat((daemon.dir() / "run/attach/w.0.sock").c_str(), &info) != 0; }));
    }

    TEST_CASE("store/attach: who closed the descriptor gets it, and nobody else does") {
        const Daemon daemon;
        const std::string program = worker_program("storer");
        // In the session of the worker, but without what it inherited; and out of the session.
        REQUIRE(daemon
                    .start(worker_table(
                               "in",
                               {"sh", "-c", "exec 3>&- 4>&-; " + program + " inherited ask & wait"},
                               kAtOnce) +
                           worker_table("out",
                                        {"sh", "-c",
                                         "setsid -f " + program +
                                             " inherited ask; exec tail -f "
                                             "/dev/null"},
                                        kAtOnce))
                    .code == 0);
        const std::string words = words_of(daemon, "in.0");
        CHECK(words.find("inherited nothing") != std::string::npos);
        CHECK(identity_in(words, "asked") == identity_of_store(daemon));
        CHECK(words_of(daemon, "out.0").find("refused " + std::to_string(EACCES)) !=
              std::string::npos);
        // Neither does somebody of the same user who is of no worker at all.
        const auto stranger =
            store::fetch_store(daemon.dir() / "run/attach/in.0.sock", seconds{20});
        REQUIRE_FALSE(stranger);
        CHECK(stranger.error() == Error{Op::store, EACCES});
    }

    TEST_CASE("store/supervisor killed: the same store, for those who run and those who come") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("early", storer({"inherited", "set", "k", "v"}), kAtOnce) +
                           worker_table("late", storer({"inherited", "ask"}),
                                        kAtOnce + "autostart = false\n"))
                    .code == 0);
        const std::string identity = identity_in(words_of(daemon, "early.0"), "inherited");
        for (int i = 0; i < 3; ++i) kill_supervisor(daemon);
        CHECK(identity_of_store(daemon) == identity);
        CHECK(store(daemon, {"get", "k"}).out == "v");
        REQUIRE(daemon.ctl({"start", "late"}).code == 0);
        const std::string words = words_of(daemon, "late.0");
        CHECK(identity_in(words, "inherited") == identity);
        CHECK(identity_in(words, "asked") == identity);
    }

    TEST_CASE("store/attach: a question asked while no supervisor runs is answered by the next") {
        const Daemon daemon;
        const std::string go = daemon.dir() / "go";
        REQUIRE(daemon
                    .start(worker_table("w",
                                        {"sh", "-c",
                                         "until [ -e " + go + " ]; do :; done; exec " +
                                             worker_program("storer") + " ask"},
                                        kAtOnce + "nice = 10\n"))
                    .code == 0);
        const std::string identity = identity_of_store(daemon);
        const pid_t supervisor = daemon.supervisor_pid();
        REQUIRE(::kill(supervisor, SIGSTOP) == 0);
        daemon.write("go", "");
        // It has connected by now, or connects later: both must be answered.
        pause(milliseconds{50});
        REQUIRE(::kill(supervisor, SIGKILL) == 0);
        CHECK(identity_in(words_of(daemon, "w.0"), "asked") == identity);
    }

    TEST_CASE("store/settle: what a killed worker held is given back, its children's too") {
        const Daemon daemon;
        const std::string program = worker_program("storer");
        REQUIRE(
            daemon
                .start(worker_table("w", storer({"count", "hits", "join"}),
                                    kAtOnce + "restart = \"never\"\n") +
                       worker_table(
                           "two", {"sh", "-c", program + " join & exec " + program + " count hits"},
                           kAtOnce + "restart = \"never\"\n"))
                .code == 0);
        REQUIRE(wait_until([&] { return participants_of(daemon) == 3; }));
        REQUIRE(::kill(daemon.pid_of("w.0"), SIGKILL) == 0);
        CHECK(wait_until([&] { return participants_of(daemon) == 2; }));
        REQUIRE(daemon.ctl({"stop", "two"}).code == 0);
        CHECK(wait_until([&] { return participants_of(daemon) == 0; }));
        const Json counters = store_json(daemon, {"counter", "list"}).at("counters");
        REQUIRE(counters.size() == 1);
        CHECK(counters.at(0).at("name") == "hits");
        CHECK(counters.at(0).at("kind") == "atomic");
        CHECK(counters.at(0).at("value") == 2);
    }

    TEST_CASE("store/settle: who dies while no supervisor lives is settled by the next one") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("w", storer({"join"}), kAtOnce + "restart = \"never\"\n"))
                    .code == 0);
        REQUIRE(wait_until([&] { return participants_of(daemon) == 1; }));
        const pid_t worker = daemon.pid_of("w.0");
        const pid_t supervisor = daemon.supervisor_pid();
        REQUIRE(::kill(supervisor, SIGSTOP) == 0);
        REQUIRE(::kill(worker, SIGKILL) == 0);
        REQUIRE(::kill(supervisor, SIGKILL) == 0);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        CHECK(wait_until([&] { return participants_of(daemon) == 0; }));
    }

    TEST_CASE("store/clusterctl: set, get, incr, list and del work on what workers see") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table(
                        "w", storer({"set", "from-worker", "hello", "count", "hits"}), kAtOnce))
                    .code == 0);
        words_of(daemon, "w.0");
        CHECK(store(daemon, {"get", "from-worker"}).out == "hello");
        CHECK(store(daemon, {"set", "n", "41"}).code == 0);
        CHECK(store(daemon, {"incr", "n"}).out == "42\n");
        CHECK(store(daemon, {"incr", "n", "-50"}).out == "-8\n");
        CHECK(store(daemon, {"incr", "new", "5"}).out == "5\n");
        CHECK(store(daemon, {"set", "session:1", "x", "--ttl", "1h"}).code == 0);
        const Json session = store_json(daemon, {"get", "session:1"});
        CHECK(session.at("value") == "x");
        CHECK(session.at("ttl_ms").get<long>() > 3'500'000);
        CHECK(session.at("ttl_ms").get<long>() <= 3'600'000);
        const Json keys = store_json(daemon, {"list"}).at("keys");
        REQUIRE(keys.size() == 4);
        CHECK(keys.at(0).at("key") == "from-worker");
        CHECK(keys.at(0).at("size_bytes") == 5);
        CHECK(keys.at(0).at("ttl_ms").is_null());
        CHECK(store_json(daemon, {"list", "sess"}).at("keys").size() == 1);
        CHECK(store_json(daemon, {"list", "-n", "2"}).at("more") == true);
        const std::string table = store(daemon, {"list"}).out;
        CHECK(table.find("59m") != std::string::npos);
        CHECK(table.find("5 B") != std::string::npos);
        CHECK(store(daemon, {"del", "n", "new"}).code == 0);
        CHECK(store_json(daemon, {"list"}).at("keys").size() == 2);
        const std::string stats = store(daemon, {"stats"}).out;
        CHECK(stats.find("64.0 MiB") != std::string::npos);
        CHECK(stats.find("counters      1 of 4096") != std::string::npos);
        CHECK(store(daemon, {"counter", "list"}).out.find("hits") != std::string::npos);
    }

    TEST_CASE("store/ttl: the daemon gives back what has expired, and touches nothing else") {
        const Daemon daemon;
        REQUIRE(
            daemon
                .start("[store.other]\nsize = \"8MiB\"\n" +
                       worker_table("w", {worker_program("idle")}, kAtOnce) +
                       worker_table("o", {worker_program("idle")}, kAtOnce + "store = \"other\""))
                .code == 0);
        const auto number_of_keys = [&](const std::string& name) {
            return store_json(daemon, {"stats", "--store", name}).at("keys").get<long>();
        };
        for (const std::string name : {"default", "other"}) {
            REQUIRE(store(daemon, {"set", "stays", "v", "--store", name}).code == 0);
            REQUIRE(store(daemon, {"set", "goes", "v", "--ttl", "10ms", "--store", name}).code ==
                    0);
        }
        CHECK(wait_until([&] { return number_of_keys("default") == 1; }, seconds{60}));
        CHECK(wait_until([&] { return number_of_keys("other") == 1; }, seconds{60}));
        CHECK(store(daemon, {"get", "stays"}).out == "v");
        // Who sweeps is no participant when it has done so.
        CHECK(wait_until([&] { return participants_of(daemon) == 0; }, seconds{60}));
    }

    TEST_CASE("store/clusterctl: what cannot be done is said, with the exit codes of all verbs") {
        const Daemon daemon;
        CHECK(store(daemon, {"get", "k"}).code == 3);
        REQUIRE(daemon.start(worker_table("w", {worker_program("idle")}, kAtOnce)).code == 0);
        const Outcome missing = store(daemon, {"get", "k"});
        CHECK(missing.code == 1);
        CHECK(missing.err.find("there is no key \"k\"") != std::string::npos);
        CHECK(store(daemon, {"del", "k"}).code == 1);
        CHECK(store(daemon, {"set", "k", "word"}).code == 0);
        CHECK(store(daemon, {"set", "k", "word", "--add"}).code == 1);
        CHECK(store(daemon, {"set", "other", "word", "--replace"}).code == 1);
        const Outcome number = store(daemon, {"incr", "k"});
        CHECK(number.code == 1);
        CHECK(number.err.find("is no number") != std::string::npos);
        CHECK(store(daemon, {"incr", "k", "1.5"}).code == 2);
        CHECK(store(daemon, {"set", "k"}).code == 2);
        CHECK(store(daemon, {"set", "", "v"}).code == 2);
        CHECK(store(daemon, {"set", std::string(1025, 'k'), "v"}).code == 2);
        CHECK(store(daemon, {"set", "k", "v", "--ttl", "5"}).code == 2);
        CHECK(store(daemon, {"set", "k", "v", "--ttl", "0s"}).code == 2);
        CHECK(store(daemon, {"gett", "k"}).err.find("did you mean \"get\"?") != std::string::npos);
        CHECK(store(daemon, {"list", "--store", "nope"}).code == 1);
        CHECK(store(daemon, {}).code == 2);
        const std::string big = daemon.write("big", std::string(524'288, 'x'));
        CHECK(store(daemon, {"set", "big", "--file", big}).code == 1);
        daemon.write("big", std::string(523'232, 'x'));
        CHECK(store(daemon, {"set", "big", "--file", big}).code == 0);
        CHECK(store(daemon, {"get", "big"}).out.size() == 523'232);
    }

    TEST_CASE("store/clusterctl: bytes that are no text come and go as they are") {
        const Daemon daemon;
        REQUIRE(daemon.start(worker_table("w", {worker_program("idle")}, kAtOnce)).code == 0);
        const std::string value = std::string("\0\xFF\n", 3) + "\x1B[2J";
        const std::string file = daemon.write("value", value);
        REQUIRE(store(daemon, {"set",
                               "\xFE"
                               "k",
                               "--file", file})
                    .code == 0);
        CHECK(store(daemon, {"get",
                             "\xFE"
                             "k"})
                  .out == value);
        const Json document = store_json(daemon, {"get",
                                                  "\xFE"
                                                  "k"});
        CHECK(document.at("key").at("hex") == "fe6b");
        CHECK(document.at("value").at("hex") == "00ff0a1b5b324a");
        CHECK(store(daemon, {"list"}).out.find('\x1B') == std::string::npos);
    }

    TEST_CASE("store/config: each worker gets the store that its table names") {
        const Daemon daemon;
        REQUIRE(
            daemon
                .start("[store.sessions]\nsize = \"8MiB\"\n" +
                       worker_table("a", storer({"inherited"}), kAtOnce) +
                       worker_table("b", storer({"inherited"}), kAtOnce + "store = \"sessions\"") +
                       worker_table("c", storer({"inherited"}),
                                    kAtOnce + "store = false\nchannel = false"))
                .code == 0);
        const std::string a = identity_in(words_of(daemon, "a.0"), "inherited");
        const std::string b = identity_in(words_of(daemon, "b.0"), "inherited");
        CHECK(a == identity_of_store(daemon));
        CHECK(b == identity_of_store(daemon, "sessions"));
        CHECK(a != b);
        CHECK(identity_in(words_of(daemon, "c.0"), "inherited") == "nothing");
        struct stat info {};
        CHECK(::stat((daemon.dir() / "run/attach/c.0.sock").c_str(), &info) != 0);
        REQUIRE(daemon
                    .ctl({"start", "--store", "sessions", "--name", "d", "--min-uptime", "0s", "--",
                          worker_program("storer"), "inherited"})
                    .code == 0);
        CHECK(identity_in(words_of(daemon, "d.0"), "inherited") == b);
        const Outcome unknown =
            daemon.ctl({"start", "--store", "nope", "--name", "e", "--", worker_program("storer")});
        CHECK(unknown.code == 1);
        CHECK(unknown.err.find("[store.nope]") != std::string::npos);
    }

    TEST_CASE("store/config: a second file must say of a store what the running one is") {
        const Daemon daemon;
        const std::string idle = worker_table("a", {worker_program("idle")}, kAtOnce);
        REQUIRE(daemon.start("[store]\nsize = \"16MiB\"\n" + idle).code == 0);
        const std::string identity = identity_of_store(daemon);
        const auto start = [&](const std::string& text) {
            return daemon.ctl({"start", daemon.write("second.toml", text)});
        };
        const std::string other = worker_table("b", {worker_program("idle")}, kAtOnce);
        const Outcome larger = start("[store]\nsize = \"32MiB\"\n" + other);
        CHECK(larger.code == 1);
        CHECK(larger.err.find("[store] table (32MiB") != std::string::npos);
        CHECK(larger.err.find("shut the daemon down first") != std::string::npos);
        CHECK(daemon.status().at("workers").size() == 1);
        CHECK(start("[store]\nsize = \"16MiB\"\nhuge_pages = \"all\"\n" + other).code == 0);
        CHECK(start("[store.more]\nsize = \"8MiB\"\n" + other).code == 0);
        CHECK(identity_of_store(daemon) == identity);
        const Outcome small = start("[store]\nsize = \"1MiB\"\n" + other);
        CHECK(small.code == 2);
        CHECK(small.err.find("second.toml:2:8: error: store.size: 1MiB is too small") !=
              std::string::npos);
        CHECK(small.err.find("the minimum is ") != std::string::npos);
    }

    TEST_CASE("store/memory: huge_pages takes all of it at once where the file says so") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start("[store]\nsize = \"16MiB\"\nhuge_pages = \"all\"\n[store.lazy]\nsize = "
                           "\"16MiB\"\n" +
                           worker_table("a", {worker_program("idle")}, kAtOnce) +
                           worker_table("b", {worker_program("idle")}, kAtOnce + "store = \"lazy\""))
                    .code == 0);
        const auto memory = [&](const std::string& name) {
            return store_json(daemon, {"stats", "--store", name}).at("memory_bytes").get<long>();
        };
        // Also where the kernel gives no huge pages; at the lowest priority, on a busy machine.
        CHECK(wait_until([&] { return memory("default") == 16L << 20; }, seconds{150}));
        CHECK(memory("lazy") < 4L << 20);
    }

    TEST_CASE("store/memory: what is in use comes into huge pages by itself") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("a", {worker_program("idle")}, kAtOnce) +
                           "[store.small]\nhuge_pages = \"none\"\n" +
                           worker_table("b", {worker_program("idle")},
                                        kAtOnce + "store = \"small\""))
                    .code == 0);
        const sys::UniqueFd used = segment_of(daemon, "a.0");
        const sys::UniqueFd small = segment_of(daemon, "b.0");
        if (!has_huge_pages()) return skip("this kernel gives no huge pages");
        const std::string value(std::size_t{60} << 10U, 'v');
        for (int i = 0; i < 64; ++i) {
            const std::string key = "k" + std::to_string(i);
            REQUIRE(store(daemon, {"set", key, value}).code == 0);
            REQUIRE(store(daemon, {"set", key, value, "--store", "small"}).code == 0);
        }
        // Each question wakes the daemon, which looks at what is in use.
        const auto is_huge = [&daemon](const sys::UniqueFd& fd) {
            static_cast<void>(daemon.status());
            return huge_bytes_of(fd) >= 2L << 20;
        };
        CHECK(wait_until([&] { return is_huge(used); }, seconds{60}));
        CHECK(store(daemon, {"get", "k63"}).out == value);
        CHECK_FALSE(is_huge(small));
    }

    TEST_CASE("store/shutdown: what was in it is gone, its description is remembered") {
        const Daemon daemon;
        REQUIRE(
            daemon
                .start("[store.sessions]\nsize = \"8MiB\"\n" +
                       worker_table("w", storer({"inherited"}), kAtOnce + "store = \"sessions\""))
                .code == 0);
        REQUIRE(store(daemon, {"set", "k", "v", "--store", "sessions"}).code == 0);
        const std::string identity = identity_of_store(daemon, "sessions");
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        REQUIRE(daemon.ctl({"start"}).code == 0);
        CHECK(daemon.state_of("w.0") == "running");
        CHECK(store(daemon, {"get", "k", "--store", "sessions"}).code == 1);
        CHECK(identity_of_store(daemon, "sessions") != identity);
        CHECK(store_json(daemon, {"stats", "--store", "sessions"}).at("size_bytes") == 8L << 20);
    }

    TEST_CASE("store/users: another user's worker gets a store only where its table names one") {
        if (!is_root()) return skip("only root starts workers of other users");
        const passwd* nobody = ::getpwnam("nobody");
        if (nobody == nullptr) return skip("no user nobody");
        const uid_t uid = nobody->pw_uid;
        const Daemon daemon;
        ::chmod(daemon.dir().path().c_str(), 0755);
        const std::string program = daemon.copy_in(worker_program("storer"));
        REQUIRE(daemon
                    .start(worker_table("none", {program, "inherited"},
                                        kAtOnce + "user = \"nobody\"\ncwd = \"/\"") +
                           worker_table("named", {program, "inherited", "ask"},
                                        kAtOnce + "user = \"nobody\"\ncwd = \"/\"\nstore = "
                                                 "\"default\""))
                    .code == 0);
        CHECK(identity_in(words_of(daemon, "none.0"), "inherited") == "nothing");
        const std::string words = words_of(daemon, "named.0");
        CHECK(identity_in(words, "inherited") == identity_of_store(daemon));
        CHECK(identity_in(words, "asked") == identity_of_store(daemon));
        struct stat info {};
        REQUIRE(::stat((daemon.dir() / "run/attach/named.0.sock").c_str(), &info) == 0);
        CHECK(info.st_uid == uid);
        CHECK((info.st_mode & 07777) == 0600);
        REQUIRE(::stat((daemon.dir() / "run/attach").c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0711);
    }

    TEST_CASE("store/hostile: whatever is written into it crashes neither daemon nor clusterctl") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start("[store]\nsize = \"8MiB\"\nparticipants = 64\n" +
                           worker_table("w", storer({"join", "count", "hits", "set", "k", "v"}),
                                        kAtOnce + "instances = 2\n"))
                    .code == 0);
        words_of(daemon, "w.0");
        const pid_t supervisor = daemon.supervisor_pid();
        std::mt19937_64 random(20260101);
        const auto scribble = [&](int fd) {
            std::vector<std::uint64_t> words(512);
            for (int i = 0; i < 400; ++i) {
                for (std::uint64_t& word : words) {
                    // Small numbers, offsets and pids are worse than noise.
                    word = random() >> (random() % 64);
                }
                const auto at = static_cast<off_t>(random() % ((8U << 20U) / 4096)) * 4096;
                static_cast<void>(!::pwrite(fd, words.data(), 4096, i % 8 == 0 ? 0 : at));
            }
        };
        for (int round = 0; round < 8; ++round) {
            const pid_t worker = daemon.pid_of("w.0");
            if (worker == 0) continue;
            const int fd =
                ::open(("/proc/" + std::to_string(worker) + "/fd/3").c_str(), O_RDWR | O_CLOEXEC);
            if (fd < 0) continue;
            scribble(fd);
            ::close(fd);
            ::kill(worker, SIGKILL);
            for (const std::vector<std::string>& words : {std::vector<std::string>{"stats"},
                                                          {"list"},
                                                          {"get", "k"},
                                                          {"set", "k", "v"},
                                                          {"incr", "n"},
                                                          {"del", "k"},
                                                          {"counter", "list"}}) {
                const Outcome outcome = store(daemon, words);
                CAPTURE(words.front());
                INFO(outcome.err);
                CHECK_FALSE(outcome.has_timed_out);
                CHECK((outcome.code == 0 || outcome.code == 1));
            }
        }
        CHECK(daemon.supervisor_pid() == supervisor);
        // A successor does not believe it either.
        kill_supervisor(daemon);
        const pid_t next = daemon.supervisor_pid();
        CHECK(daemon.ctl({"stop", "w"}).code == 0);
        CHECK(daemon.supervisor_pid() == next);
    }
}

}  // namespace cluster::test
