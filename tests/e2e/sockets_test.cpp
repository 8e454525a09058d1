// Listening sockets that outlive their workers.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "support/client.hpp"
#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {
namespace {

std::string socket_table(const std::string& name, const std::string& lines) {
    return "[socket." + name + "]\n" + lines + "\n";
}

std::string answering(const std::string& name, const std::string& more,
                      const std::string& descriptor) {
    return worker_table(name, {worker_program("answers"), descriptor},
                        "min_uptime = \"0s\"\n" + more);
}

Json socket_of(const Daemon& daemon, const std::string& name) {
    const Json status = daemon.status();
    for (const Json& socket : status.at("sockets")) {
        if (socket.at("name") == name) return socket;
    }
    return {};
}

/// The port that a socket is bound to; 0: it is not open.
int port_of(const Daemon& daemon, const std::string& name) {
    const Json socket = socket_of(daemon, name);
    if (!socket.contains("address") || !socket.at("address").is_string()) return 0;
    const std::string address = socket.at("address");
    return std::stoi(address.substr(address.rfind(':') + 1));
}

/// "w.0 1234\n", or "" when nobody answers.
std::string ask(const Address& address) {
    const Client client(address);
    if (!client.is_connected()) return {};
    client.send("q");
    return client.read();
}

std::string worker_in(const std::string& answer) {
    return answer.substr(0, answer.find('.'));
}

sys::UniqueFd listen_at(const Address& address) {
    sys::UniqueFd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    REQUIRE(::bind(fd.get(), address.get(), address.size) == 0);
    REQUIRE(::listen(fd.get(), 8) == 0);
    return fd;
}

int port_bound(int fd) {
    sockaddr_in four{};
    socklen_t size = sizeof(four);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&four), &size) == 0);
    return ntohs(four.sin_port);
}

const std::string kAnyPort = "listen = \"127.0.0.1:0\"";

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("sockets: a worker is told what it inherits, in order and without a hole") {
        const Daemon daemon;
        const std::string config = socket_table("web", kAnyPort) + socket_table("api", kAnyPort) +
                                   socket_table("in", kAnyPort) +
                                   answering("w",
                                             "sockets = [\"web\", \"api\"]\nstdin_socket = \"in\"\n"
                                             "env = { EXTRA = \"{socket:api};{socket:in}\" }\n",
                                             "{socket:api}");
        REQUIRE(daemon.start(config).code == 0);
        const std::string pid = std::to_string(daemon.pid_of("w.0"));
        const std::string expected =
            "fd 4 fds 2 names web:api pid " + pid + " own " + pid + " extra 4;0\n";
        CHECK(wait_until([&] { return daemon.out_log("w.0") == expected; }));
        CHECK(daemon.out_log("w.0") == expected);
        CHECK(ask(internet(port_of(daemon, "api"))) == "w.0 " + pid + "\n");

        const Json described =
            Json::parse(daemon.ctl({"describe", "w.0", "--json"}).out).at("instances").at(0);
        const Json& sockets = described.at("sockets");
        REQUIRE(sockets.size() == 3);
        CHECK(sockets[0].at("name") == "web");
        CHECK(sockets[0].at("number") == 3);
        CHECK(sockets[0].at("listen") == "127.0.0.1:0");
        CHECK(sockets[0].at("kind") == "tcp");
        CHECK(sockets[0].at("address") != "127.0.0.1:0");
        CHECK(sockets[2].at("name") == "in");
        CHECK(sockets[2].at("number") == 0);
    }

    TEST_CASE("sockets: a program that accepts from its standard input, three times") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(socket_table("in", kAnyPort) +
                           answering("w", "stdin_socket = \"in\"\ninstances = 3\n", "0"))
                    .code == 0);
        const Address address = internet(port_of(daemon, "in"));
        for (int i = 0; i < 20; ++i) CHECK(worker_in(ask(address)) == "w");
        // Others may have answered all of them before this one has got so far.
        CHECK(wait_until(
            [&] { return daemon.out_log("w.1").find("fd 0 fds - names - pid - ") == 0; }));
    }

    TEST_CASE("sockets: a connection that comes while no worker is up waits for the next one") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(socket_table("web", kAnyPort) +
                           answering("w", "sockets = \"web\"\n", "{socket:web}"))
                    .code == 0);
        const int port = port_of(daemon, "web");
        const std::string before = ask(internet(port));
        CHECK(worker_in(before) == "w");
        REQUIRE(daemon.ctl({"stop", "w"}).code == 0);

        const Client early(internet(port));
        REQUIRE(early.is_connected());
        early.send("q");
        // Nobody takes it, and that can be seen.
        CHECK(wait_until([&] { return socket_of(daemon, "web").at("waiting") == 1; }));
        CHECK(daemon.ctl({"describe", "w"}).out.find("1 connection not accepted yet") !=
              std::string::npos);
        REQUIRE(daemon.ctl({"start", "w"}).code == 0);
        const std::string after = early.read();
        CHECK(worker_in(after) == "w");
        CHECK(after != before);
        CHECK(port_of(daemon, "web") == port);

        REQUIRE(daemon.ctl({"restart", "w"}).code == 0);
        CHECK(port_of(daemon, "web") == port);
        CHECK(worker_in(ask(internet(port))) == "w");
        const pid_t pid = daemon.pid_of("w.0");
        REQUIRE(::kill(pid, SIGKILL) == 0);
        CHECK(worker_in(ask(internet(port))) == "w");
    }

    TEST_CASE("sockets: a worker that never reads its socket costs its backlog and nobody else") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(socket_table("deaf", kAnyPort + "\nbacklog = 4") +
                           socket_table("web", kAnyPort) +
                           worker_table("deaf", {worker_program("idle")}, "sockets = \"deaf\"\n") +
                           answering("w", "sockets = \"web\"\n", "{socket:web}"))
                    .code == 0);
        const int port = port_of(daemon, "deaf");
        std::vector<sys::UniqueFd> knocking;
        const Address address = internet(port);
        for (int i = 0; i < 50; ++i) {
            sys::UniqueFd& fd = knocking.emplace_back(
                ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            static_cast<void>(::connect(fd.get(), address.get(), address.size));
        }
        // The kernel lets one more wait than the backlog says (listen(2)); the others knock again.
        CHECK(wait_until([&] { return socket_of(daemon, "deaf").at("waiting") == 5; }));
        CHECK(worker_in(ask(internet(port_of(daemon, "web")))) == "w");
        CHECK(daemon.ctl({"stop", "deaf"}).code == 0);
    }

    TEST_CASE("sockets: the supervisor is killed again and again, and no connection fails") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(socket_table("web", kAnyPort) +
                           answering("w", "sockets = \"web\"\ninstances = 2\n", "{socket:web}"))
                    .code == 0);
        const int port = port_of(daemon, "web");
        const pid_t first = daemon.pid_of("w.0");
        int failed = 0;
        for (int round = 0; round < 4; ++round) {
            const Client slow(internet(port));
            slow.send("s");
            const pid_t supervisor = daemon.supervisor_pid();
            REQUIRE(::kill(supervisor, SIGKILL) == 0);
            for (int i = 0; i < 50; ++i) failed += worker_in(ask(internet(port))) == "w" ? 0 : 1;
            CHECK(worker_in(slow.read()) == "w");
            REQUIRE(wait_until(
                [&] { return daemon.is_answering() && daemon.supervisor_pid() != supervisor; }));
            CHECK(port_of(daemon, "web") == port);
        }
        CHECK(failed == 0);
        CHECK(daemon.pid_of("w.0") == first);
        // The successor hands the same socket to the next run.
        REQUIRE(daemon.ctl({"restart", "w"}).code == 0);
        CHECK(daemon.pid_of("w.0") != first);
        CHECK(port_of(daemon, "web") == port);
        CHECK(worker_in(ask(internet(port))) == "w");
    }

    TEST_CASE("sockets: a supervisor of another build takes over the sockets of the one before") {
        Daemon daemon;
        const std::string program = daemon.copy_in(SUPERVISOR_PATH);
        daemon.env()["CLUSTER_SUPERVISOR"] = program;
        REQUIRE(daemon
                    .start(socket_table("web", kAnyPort) +
                           answering("w", "sockets = \"web\"\n", "{socket:web}"))
                    .code == 0);
        const int port = port_of(daemon, "web");
        const pid_t worker = daemon.pid_of("w.0");
        const auto program_of = [](pid_t pid) {
            struct stat info {};
            ::stat(("/proc/" + std::to_string(pid) + "/exe").c_str(), &info);
            return info.st_ino;
        };
        // As a package manager does it: the new file takes the name of the one that runs.
        const std::string fresh = program + ".new";
        std::filesystem::copy_file(SUPERVISOR_PATH, fresh);
        const ino_t old_program = program_of(daemon.supervisor_pid());
        REQUIRE(::rename(fresh.c_str(), program.c_str()) == 0);
        const Client waiting(internet(port));
        kill_supervisor(daemon);
        CHECK(program_of(daemon.supervisor_pid()) != old_program);
        waiting.send("q");
        CHECK(worker_in(waiting.read()) == "w");
        CHECK(daemon.pid_of("w.0") == worker);
        CHECK(port_of(daemon, "web") == port);
        REQUIRE(daemon.ctl({"reload", "w"}).code == 0);
        CHECK(daemon.pid_of("w.0") != worker);
        CHECK(worker_in(ask(internet(port))) == "w");
    }

    TEST_CASE("sockets: the same through the death of the keeper and its upgrade") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(socket_table("web", kAnyPort) +
                           answering("w", "sockets = \"web\"\n", "{socket:web}"))
                    .code == 0);
        const int port = port_of(daemon, "web");
        const pid_t worker = daemon.pid_of("w.0");
        const auto check_all = [&] {
            CHECK(daemon.pid_of("w.0") == worker);
            CHECK(port_of(daemon, "web") == port);
            CHECK(worker_in(ask(internet(port))) == "w");
        };
        const pid_t keeper = daemon.keeper_pid();
        const Client waiting(internet(port));
        REQUIRE(::kill(keeper, SIGKILL) == 0);
        // Nobody has to be there for it.
        waiting.send("q");
        CHECK(worker_in(waiting.read()) == "w");
        REQUIRE(wait_until([&] { return daemon.is_answering() && daemon.keeper_pid() != keeper; }));
        check_all();
        REQUIRE(daemon.ctl({"upgrade"}).code == 0);
        check_all();
        // While no worker is up, it waits in the backlog.
        REQUIRE(daemon.ctl({"stop", "w"}).code == 0);
        const Client early(internet(port));
        CHECK(early.error() == 0);
        early.send("q");
        REQUIRE(::kill(daemon.keeper_pid(), SIGKILL) == 0);
        REQUIRE(daemon.ctl({"start", "w"}).code == 0);
        CHECK(worker_in(early.read()) == "w");
        CHECK(port_of(daemon, "web") == port);
        REQUIRE(daemon.ctl({"reload", "w"}).code == 0);
        CHECK(worker_in(ask(internet(port))) == "w");
    }

    TEST_CASE("sockets: a change holds at once, gives new runs, or closes, as it has to") {
        const Daemon daemon;
        const auto config = [&](const std::string& lines, const std::string& more = "") {
            return daemon.write("c.toml",
                                socket_table("web", lines) +
                                    answering("w", "sockets = \"web\"\n" + more, "{socket:web}"));
        };
        REQUIRE(daemon.ctl({"start", config(kAnyPort)}).code == 0);
        const int port = port_of(daemon, "web");
        const pid_t pid = daemon.pid_of("w.0");
        REQUIRE(
            daemon.ctl({"apply", config(kAnyPort + "\nbacklog = 7\nnonblocking = true")}).code ==
            0);
        CHECK(daemon.pid_of("w.0") == pid);
        CHECK(port_of(daemon, "web") == port);
        CHECK(worker_in(ask(internet(port))) == "w");

        REQUIRE(daemon.ctl({"apply", config(kAnyPort, "env = { EXTRA = \"x\" }\n")}).code == 0);
        CHECK(daemon.pid_of("w.0") != pid);
        CHECK(port_of(daemon, "web") == port);

        const std::string path = daemon.dir() / "w.sock";
        REQUIRE(daemon.ctl({"apply", config("listen = \"" + path + "\"")}).code == 0);
        CHECK(worker_in(ask(local(path))) == "w");
        CHECK(wait_until([&] { return Client(internet(port)).error() == ECONNREFUSED; }));

        const std::string gone = daemon.write(
            "c.toml", worker_table("w", {worker_program("idle")}, "min_uptime = \"0s\"\n"));
        REQUIRE(daemon.ctl({"apply", gone}).code == 0);
        CHECK(wait_until([&] { return Client(local(path)).error() == ENOENT; }));
        CHECK(daemon.status().at("sockets").empty());
    }

    TEST_CASE("sockets: one that only changes its name stays the same socket") {
        const Daemon daemon;
        const auto config = [&](const std::string& name) {
            return daemon.write("c.toml", socket_table(name, kAnyPort) +
                                              answering("w", "sockets = \"" + name + "\"\n", "3"));
        };
        REQUIRE(daemon.ctl({"start", config("old")}).code == 0);
        const int port = port_of(daemon, "old");
        REQUIRE(daemon.ctl({"apply", config("new")}).code == 0);
        CHECK(port_of(daemon, "new") == port);
        CHECK(worker_in(ask(internet(port))) == "w");
        const pid_t supervisor = daemon.supervisor_pid();
        REQUIRE(::kill(supervisor, SIGKILL) == 0);
        REQUIRE(wait_until(
            [&] { return daemon.is_answering() && daemon.supervisor_pid() != supervisor; }));
        CHECK(port_of(daemon, "new") == port);
        CHECK(worker_in(ask(internet(port))) == "w");
    }

    TEST_CASE("sockets: UNIX sockets have their mode, and nobody else's file is taken away") {
        const Daemon daemon;
        const std::string path = daemon.dir() / "below/w.sock";
        const std::string config =
            socket_table("web", "listen = \"" + path + "\"\nmode = \"0640\"") +
            answering("w", "sockets = \"web\"\n", "{socket:web}");
        const std::string file = daemon.write("c.toml", config);
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        struct stat info {};
        REQUIRE(::stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0640);
        CHECK(worker_in(ask(local(path))) == "w");
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
        CHECK(::stat(path.c_str(), &info) != 0);

        // Stale: somebody died there.
        listen_at(local(path)).reset();
        REQUIRE(::stat(path.c_str(), &info) == 0);
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        CHECK(worker_in(ask(local(path))) == "w");
        // A server that removes the file when it ends, as some do.
        REQUIRE(::unlink(path.c_str()) == 0);
        REQUIRE(daemon.ctl({"restart", "w"}).code == 0);
        CHECK(worker_in(ask(local(path))) == "w");
        REQUIRE(daemon.ctl({"delete", "w"}).code == 0);
        CHECK(wait_until([&] { return ::stat(path.c_str(), &info) != 0; }));

        {
            const sys::UniqueFd holder = listen_at(local(path));
            const Outcome refused = daemon.ctl({"start", file});
            CHECK(refused.code == 1);
            INFO(refused.err);
            CHECK(refused.err.find("has it already") != std::string::npos);
        }
        ::unlink(path.c_str());
        daemon.write("below/w.sock", "precious");
        const Outcome refused = daemon.ctl({"start", file});
        CHECK(refused.code == 1);
        CHECK(refused.err.find("there is a file which is no socket") != std::string::npos);
        CHECK(text_of(path) == "precious");
        if (is_root()) {
            ::unlink(path.c_str());
            listen_at(local(path)).reset();
            REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
            const Outcome foreign = daemon.ctl({"start", file});
            CHECK(foreign.code == 1);
            INFO(foreign.err);
            CHECK(foreign.err.find("a stale socket of user nobody is there") != std::string::npos);
            const std::string owned = daemon.write(
                "d.toml", socket_table("web", "listen = \"" + path + "\"\nuser = \"nobody\"") +
                              answering("w", "sockets = \"web\"\n", "{socket:web}"));
            CHECK(daemon.ctl({"start", owned}).code == 0);
            REQUIRE(::stat(path.c_str(), &info) == 0);
            CHECK(info.st_uid == 65534);
        }
    }

    TEST_CASE("sockets: a port that is taken is refused whole, with the name of who has it") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(socket_table("web", kAnyPort) +
                           answering("w", "sockets = \"web\"\n", "{socket:web}"))
                    .code == 0);
        const int port = port_of(daemon, "web");
        const pid_t pid = daemon.pid_of("w.0");
        const sys::UniqueFd holder = listen_at(internet(0));
        const std::string taken = std::to_string(port_bound(holder.get()));
        const std::string config =
            socket_table("web", kAnyPort) +
            socket_table("more", "listen = \"127.0.0.1:" + taken + "\"") +
            answering("w", "sockets = [\"web\", \"more\"]\n", "{socket:web}");
        const Outcome refused = daemon.start(config);
        INFO(refused.err);
        CHECK(refused.code == 1);
        CHECK(refused.err.find("socket more: cannot listen at 127.0.0.1:" + taken + ": ") !=
              std::string::npos);
        // Looking for a holder ends after a while, however busy the machine is.
        CHECK(refused.err.find("has it already") != std::string::npos);
        CHECK(daemon.pid_of("w.0") == pid);
        CHECK(port_of(daemon, "web") == port);

        const Outcome own = daemon.ctl(
            {"start",
             daemon.write("e.toml", socket_table("other", "listen = \"127.0.0.1:" +
                                                              std::to_string(port) + "\"") +
                                        answering("v", "sockets = \"other\"\n", "3"))});
        CHECK(own.code == 1);
        CHECK(own.err.find("socket web of this daemon has it") != std::string::npos);

        const Outcome same =
            daemon.ctl({"apply", "--dry-run",
                        daemon.write("f.toml", socket_table("web", "listen = \"@clash\"") +
                                                   answering("v", "sockets = \"web\"\n", "3"))});
        CHECK(same.code != 0);
        CHECK(same.err.find("socket web is not the same for worker ") != std::string::npos);
    }

    TEST_CASE("sockets: a privileged port without the right to it, and an address of nobody here") {
        const Daemon daemon;
        std::vector<std::string> wrapper;
        if (is_root()) wrapper = {"setpriv", "--bounding-set=-net_bind_service"};
        if (is_root()) {
            std::vector<std::string> tried = wrapper;
            tried.emplace_back("true");
            if (run({tried, {}, {}}).code != 0) return skip("no right can be given up here");
        }
        if (std::stoi(text_of("/proc/sys/net/ipv4/ip_unprivileged_port_start")) <= 1) {
            return skip("no port is privileged here");
        }
        const Process clusterd = daemon.start_clusterd({}, wrapper);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        const auto refusal = [&](const std::string& where) {
            const Outcome refused = daemon.start(socket_table("web", "listen = \"" + where + "\"") +
                                                 answering("w", "sockets = \"web\"\n", "3"));
            CHECK(refused.code == 1);
            return refused.err;
        };
        CHECK(refusal("127.0.0.1:1").find("port 1 needs root or CAP_NET_BIND_SERVICE") !=
              std::string::npos);
        CHECK(refusal("192.0.2.1:8080")
                  .find("no interface of this machine has the address 192.0.2.1") !=
              std::string::npos);
        CHECK(daemon.status().at("workers").empty());
    }

    TEST_CASE("sockets: datagrams, abstract names, and two workers at one socket") {
        const Daemon daemon;
        const std::string name = "@clusterd-test-" + std::to_string(::getpid());
        REQUIRE(daemon
                    .start(socket_table("dns", kAnyPort + "\ntype = \"datagram\"") +
                           socket_table("hidden", "listen = \"" + name + "\"") +
                           answering("a", "sockets = \"dns\"\n", "{socket:dns}") +
                           answering("b", "sockets = \"dns\"\n", "{socket:dns}") +
                           answering("c", "sockets = \"hidden\"\n", "{socket:hidden}"))
                    .code == 0);
        const Address address = internet(port_of(daemon, "dns"));
        const auto ask_datagram = [&] {
            const Client client(address, SOCK_DGRAM);
            client.send("q");
            return worker_in(client.read());
        };
        const std::string answer = ask_datagram();
        CHECK((answer == "a" || answer == "b"));
        REQUIRE(daemon.ctl({"stop", "a"}).code == 0);
        CHECK(ask_datagram() == "b");
        REQUIRE(daemon.ctl({"start", "a"}).code == 0);
        REQUIRE(daemon.ctl({"stop", "b"}).code == 0);
        CHECK(ask_datagram() == "a");
        CHECK(worker_in(ask(local(name))) == "c");
    }

    TEST_CASE("sockets: a host name is looked up aside, and only who needs it waits") {
        Daemon daemon;
        daemon.env()["PATH"] = (daemon.dir() / "bin") + ":/usr/bin:/bin";
        const std::string gate = daemon.dir() / "gate";
        std::filesystem::create_directory(daemon.dir() / "bin");
        REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
        const std::string getent = daemon.write(
            "bin/getent", "#!/bin/sh\nread line < " + gate + "\nprintf '%s\\n' \"$line\"\n");
        REQUIRE(::chmod(getent.c_str(), 0755) == 0);
        const std::string file = daemon.write(
            "c.toml", socket_table("web", "listen = \"web.test:0\"") +
                          answering("w", "sockets = \"web\"\n", "{socket:web}") +
                          worker_table("free", {worker_program("idle")}, "min_uptime = \"0s\"\n"));
        REQUIRE(daemon.ctl({"start", "--no-wait", file}).code == 0);
        REQUIRE(daemon.wait_for_state("free.0", "running"));
        CHECK(daemon.state_of("w.0") == "starting");
        CHECK(daemon.worker("w.0").at("waits_for") == "socket web: web.test is being looked up");
        // The lookup goes with the supervisor, and is begun anew.
        const pid_t supervisor = daemon.supervisor_pid();
        REQUIRE(::kill(supervisor, SIGKILL) == 0);
        REQUIRE(wait_until(
            [&] { return daemon.is_answering() && daemon.supervisor_pid() != supervisor; }));
        CHECK(daemon.state_of("w.0") == "starting");
        daemon.write("gate", "::1 STREAM web.test\n");
        REQUIRE(daemon.wait_for_state("w.0", "running"));
        CHECK(socket_of(daemon, "web").at("address").get<std::string>().rfind("[::1]:", 0) == 0);
    }

    TEST_CASE("sockets: a name that nobody knows fails the start and says so") {
        Daemon daemon;
        daemon.env()["PATH"] = (daemon.dir() / "bin") + ":/usr/bin:/bin";
        std::filesystem::create_directory(daemon.dir() / "bin");
        const std::string getent = daemon.write("bin/getent", "#!/bin/sh\nexit 2\n");
        REQUIRE(::chmod(getent.c_str(), 0755) == 0);
        const Outcome started = daemon.start(
            socket_table("web", "listen = \"web.test:0\"") +
            answering("w", "sockets = \"web\"\nbackoff = { initial = \"10m\", max = \"10m\" }\n",
                      "{socket:web}"));
        INFO(started.err);
        CHECK(started.code == 1);
        CHECK(started.err.find("socket web: cannot listen at web.test:0: no address is known for "
                               "web.test") != std::string::npos);
        CHECK(daemon.state_of("w.0") == "backoff");
        REQUIRE(
            ::rename(daemon.write("good", "#!/bin/sh\necho 127.0.0.1 STREAM web.test\n").c_str(),
                     getent.c_str()) == 0);
        REQUIRE(::chmod(getent.c_str(), 0755) == 0);
        REQUIRE(daemon.ctl({"start", "w"}).code == 0);
        CHECK(worker_in(ask(internet(port_of(daemon, "web")))) == "w");
    }

    TEST_CASE("sockets: what is remembered brings its socket back, or says why it cannot") {
        const Daemon daemon;
        const sys::UniqueFd place = listen_at(internet(0));
        const int port = port_bound(place.get());
        const std::string where = "listen = \"127.0.0.1:" + std::to_string(port) + "\"";
        const std::string file = daemon.write(
            "c.toml",
            socket_table("web", where) +
                answering("w",
                          "sockets = \"web\"\nbackoff = { initial = \"50ms\", max = \"50ms\" }\n",
                          "{socket:web}") +
                worker_table("free", {worker_program("idle")}, "min_uptime = \"0s\"\n"));
        {
            Process clusterd = daemon.start_clusterd({"--config", file});
            REQUIRE(wait_until([&] { return daemon.is_answering(); }));
            // The daemon is up for the others.
            REQUIRE(daemon.wait_for_state("free.0", "running"));
            REQUIRE(wait_until([&] {
                return socket_of(daemon, "web").at("problem").is_string() &&
                       daemon.worker("w.0").at("restarts").get<int>() >= 1;
            }));
            const std::string problem = socket_of(daemon, "web").at("problem");
            CHECK(problem.find("has it already") != std::string::npos);
            ::shutdown(place.get(), SHUT_RDWR);
            REQUIRE(daemon.wait_for_state("w.0", "running"));
            CHECK(worker_in(ask(internet(port))) == "w");
            REQUIRE(daemon.ctl({"shutdown"}).code == 0);
            CHECK(clusterd.wait().code == 0);
        }
        CHECK(Client(internet(port)).error() == ECONNREFUSED);
        Process again = daemon.start_clusterd({});
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        REQUIRE(daemon.wait_for_state("w.0", "running"));
        CHECK(worker_in(ask(internet(port))) == "w");
        REQUIRE(daemon.ctl({"shutdown"}).code == 0);
    }
}

}  // namespace cluster::test
