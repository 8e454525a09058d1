// [socket.NAME], and what workers say about sockets.
#include <utility>

#include "core/socket_spec.hpp"
#include "loading.hpp"

namespace cluster::conf {
namespace {

using core::SocketSpec;
using Family = SocketSpec::Family;
using Type = SocketSpec::Type;

/// A socket `s` with the given lines (from line 2 on) that a worker uses.
std::string with_socket(const std::string& lines) {
    return "[socket.s]\n" + lines + "\n[worker.w]\ncommand = [\"srv\"]\nsockets = \"s\"\n";
}

SocketSpec load_socket(const std::string& lines) {
    const core::WorkerSpec worker = load_worker(with_socket(lines));
    if (worker.sockets.size() != 1) {
        FAIL_CHECK("expected one socket");
        return {};
    }
    CHECK(worker.sockets.front().name == "s");
    return worker.sockets.front();
}

SocketSpec internet(std::string host, std::uint16_t port) {
    SocketSpec spec;
    spec.name = "s";
    spec.host = std::move(host);
    spec.port = port;
    return spec;
}

SocketSpec local(Family family, std::string path) {
    SocketSpec spec;
    spec.name = "s";
    spec.family = family;
    spec.path = std::move(path);
    return spec;
}

TEST_CASE("conf/socket: what listen may say") {
    CHECK(load_socket("listen = \"127.0.0.1:8000\"") == internet("127.0.0.1", 8000));
    CHECK(load_socket("listen = \"[::1]:8000\"") == internet("::1", 8000));
    CHECK(load_socket("listen = \"[0:0::1]:0\"") == internet("::1", 0));
    CHECK(load_socket("listen = \"[fe80::1%eth0]:80\"") == internet("fe80::1%eth0", 80));
    CHECK(load_socket("listen = \"www.example-1.org:80\"") == internet("www.example-1.org", 80));
    CHECK(load_socket("listen = 8000") == internet("", 8000));
    CHECK(load_socket("listen = \"8000\"") == internet("", 8000));
    CHECK(load_socket("listen = \"*:8000\"") == internet("", 8000));
    CHECK(load_socket("listen = \":65535\"") == internet("", 65535));
    CHECK(load_socket("listen = \"/run/a.sock\"") == local(Family::path, "/run/a.sock"));
    CHECK(load_socket("listen = \"unix:/run/a.sock\"") == local(Family::path, "/run/a.sock"));
    CHECK(load_socket("listen = \"./a.sock\"") == local(Family::path, "/srv/site/a.sock"));
    CHECK(load_socket("listen = \"unix:a.sock\"") == local(Family::path, "/srv/site/a.sock"));
    CHECK(load_socket("listen = \"@a b\"") == local(Family::abstract, "a b"));
    const std::string longest = "/" + std::string(106, 'x');
    CHECK(load_socket("listen = \"" + longest + "\"") == local(Family::path, longest));
}

TEST_CASE("conf/socket: every key beside listen") {
    SocketSpec udp = internet("", 53);
    udp.type = Type::datagram;
    udp.reuse_port = true;
    udp.ipv6_only = true;
    udp.nonblocking = true;
    CHECK(load_socket("listen = 53\ntype = \"datagram\"\nreuse_port = true\nipv6_only = true\n"
                      "nonblocking = true") == udp);
    SocketSpec path = local(Family::path, "/run/a");
    path.type = Type::seqpacket;
    path.backlog = 1;
    path.mode = 0660;
    path.user = "www-data";
    path.group = "adm";
    CHECK(load_socket("listen = \"/run/a\"\ntype = \"seqpacket\"\nbacklog = 1\nmode = \"0660\"\n"
                      "user = \"www-data\"\ngroup = \"adm\"") == path);
    CHECK(load_socket("listen = \"/run/a\"\ntype = \"seqpacket\"\nbacklog = 1\nmode = \"0660\"\n"
                      "user = \"www-data:adm\"") == path);
}

TEST_CASE("conf/socket: what is wrong with a table is said where it stands") {
    struct Case {
        std::string lines;
        std::string mistake;
    };
    const std::string expected =
        "expected \"127.0.0.1:8000\", \"[::1]:8000\", \"name:8000\", 8000 for every address, a "
        "path such as \"/run/app.sock\", or \"@name\"";
    const Case cases[] = {
        {"backlog = 5", "1:9 socket.s: has no listen; expected listen = " + expected.substr(9)},
        {"listen = 65536", "2:10 socket.s.listen: " + expected + "; got 65536"},
        {"listen = \"127.0.0.1\"",
         "2:10 socket.s.listen: \"127.0.0.1\" has no port; write it behind a colon; " + expected},
        {"listen = \"::1:80\"",
         "2:10 socket.s.listen: \"::1:80\" has more than one colon; an IPv6 address stands in "
         "brackets, as in \"[::1]:8000\"; " +
             expected},
        {"listen = \"[::1:80\"", "2:10 socket.s.listen: \"[::1:80\" has no ']'; " + expected},
        {"listen = \"a:http\"",
         "2:10 socket.s.listen: \"a:http\" has no number as its port; " + expected},
        {"listen = \"a:70000\"",
         "2:10 socket.s.listen: \"a:70000\" has a port above 65535; " + expected},
        {"listen = \"127.0.0.300:80\"",
         "2:10 socket.s.listen: \"127.0.0.300\" is neither an address nor a host name"},
        {"listen = \"a b:80\"",
         "2:10 socket.s.listen: \"a b\" is neither an address nor a host name"},
        {"listen = \"-h:80\"",
         "2:10 socket.s.listen: \"-h\" is neither an address nor a host name"},
        {"listen = \"@\"", "2:10 socket.s.listen: \"@\" has no name behind it"},
        {"listen = \"/run/\"", "2:10 socket.s.listen: \"/run/\" names no file"},
        {"listen = 80\nmode = \"0600\"", "3:1 socket.s.mode: is for UNIX sockets with a path only"},
        {"listen = \"@a\"\nuser = \"x\"",
         "3:1 socket.s.user: is for UNIX sockets with a path only"},
        {"listen = \"@a\"\nreuse_port = true", "3:1 socket.s.reuse_port: is for TCP and UDP only"},
        {"listen = \"127.0.0.1:80\"\nipv6_only = true",
         "3:1 socket.s.ipv6_only: is for IPv6 addresses, and for a port without an address"},
        {"listen = 80\ntype = \"datagram\"\nbacklog = 1",
         "4:1 socket.s.backlog: is for sockets that take connections; this one takes datagrams"},
        {"listen = 80\ntype = \"seqpacket\"",
         "3:8 socket.s.type: \"seqpacket\" is for UNIX sockets only"},
        {"listen = 80\ntype = \"udp\"",
         "3:8 socket.s.type: expected \"stream\", \"datagram\" or \"seqpacket\"; got \"udp\""},
        {"listen = 80\nbacklog = 0",
         "3:11 socket.s.backlog: expected an integer from 1 to 2147483647; got 0"},
        {"listen = \"/a\"\nmode = 600",
         "3:8 socket.s.mode: expected an octal number in quotes, \"0\" to \"0777\", such as "
         "\"0666\"; got 600"},
        {"listen = \"/a\"\nuser = \"a:b\"\ngroup = \"c\"",
         "4:9 socket.s.group: the group stands twice: here and in user"},
        {"listn = 80\nlisten = 80",
         "2:1 unknown key \"listn\" in [socket.s] (did you mean \"listen\"?)"},
    };
    for (const Case& each : cases) {
        CAPTURE(each.lines);
        CHECK(mistake_of(with_socket(each.lines)) == each.mistake);
    }
    const std::string name = "/" + std::string(107, 'x');
    CHECK(mistake_of(with_socket("listen = \"" + name + "\""))
              .find(" has 108 bytes; the name of a UNIX socket has at most 107") !=
          std::string::npos);
    CHECK(mistake_of(
              "[socket.\"a b\"]\nlisten = 1\n[worker.w]\ncommand = \"x\"\nsockets = \"a b\"") ==
          "1:9 socket.\"a b\": a socket's name has 1 to 64 letters, digits, '_' or '-', and is not "
          "\"all\"; got \"a b\"");
}

TEST_CASE("conf/socket: two sockets at one address") {
    const auto both = [](const std::string& first, const std::string& second) {
        return mistake_of("[socket.a]\nlisten = " + first + "\n[socket.b]\nlisten = " + second +
                          "\n[worker.w]\ncommand = \"x\"\nsockets = [\"a\", \"b\"]\n");
    };
    CHECK(both("\"127.0.0.1:80\"", "\"127.0.0.1:80\"") ==
          "4:10 socket.b: socket \"a\" already listens at \"127.0.0.1:80\"");
    CHECK(both("80", "\"127.0.0.1:80\"") ==
          "4:10 socket.b: socket \"a\" already listens at \"*:80\"");
    CHECK(both("\"127.0.0.1:80\"", "\"0.0.0.0:80\"") ==
          "4:10 socket.b: socket \"a\" already listens at \"127.0.0.1:80\"");
    CHECK(both("\"/run/a\"", "\"/run/./a\"") ==
          "4:10 socket.b: socket \"a\" already listens at \"/run/a\"");
    CHECK(both("\"127.0.0.1:80\"", "\"127.0.0.2:80\"") == "none");
    CHECK(both("\"127.0.0.1:80\"", "\"[::]:80\"\nipv6_only = true") == "none");
    CHECK(both("0", "0") == "none");
    CHECK(both("80", "80\ntype = \"datagram\"") == "none");
    CHECK(both("80\nreuse_port = true", "80\nreuse_port = true") == "none");
    CHECK(both("\"/a\"", "\"@/a\"") == "none");
}

TEST_CASE("conf/socket: workers take sockets of their file, wherever its table stands") {
    const core::WorkerSpec worker = load_worker(
        "[worker.w]\ncommand = [\"srv\", \"--fd={socket:b}\"]\nsockets = [\"b\", \"a\"]\n"
        "stdin_socket = \"c\"\nenv = { N = \"{socket:b};{socket:a};\" }\n"
        "[socket.a]\nlisten = 1\n[socket.b]\nlisten = 2\n[socket.c]\nlisten = 3\n");
    REQUIRE(worker.sockets.size() == 2);
    CHECK(worker.sockets[0] == [] {
        SocketSpec spec = internet("", 2);
        spec.name = "b";
        return spec;
    }());
    CHECK(worker.sockets[1].name == "a");
    REQUIRE(worker.stdin_socket);
    CHECK(worker.stdin_socket->name == "c");
}

TEST_CASE("conf/socket: mistakes of a worker about sockets") {
    const auto with = [](const std::string& lines) {
        return mistake_of("[socket.web]\nlisten = 1\n[worker.w]\ncommand = \"srv\"\n" + lines);
    };
    CHECK(with("sockets = [\"web\", \"wep\"]") ==
          "5:19 worker.w.sockets: there is no [socket.wep] in this file (did you mean \"web\"?)");
    CHECK(with("sockets = [\"web\", \"web\"]") == "5:19 worker.w.sockets: \"web\" stands twice");
    CHECK(with("sockets = [\"web\", 3]") ==
          "5:19 worker.w.sockets: expected the name of a [socket.NAME], or an array of them such "
          "as [\"web\", \"admin\"]; got 3");
    CHECK(with("sockets = \"web\"\nstdin_socket = \"x\"") ==
          "6:16 worker.w.stdin_socket: there is no [socket.x] in this file");
    CHECK(with("stdin = \"/x\"\nstdin_socket = \"web\"") ==
          "6:1 worker.w.stdin_socket: stdin and stdin_socket exclude each other: choose one");
    CHECK(with("sockets = \"web\"\nenv = { FD = \"{socket:wep}\" }") ==
          "6:14 worker.w.env.FD: {socket:wep}: this worker has no socket \"wep\" (did you mean "
          "\"web\"?)");
    CHECK(with("sockets = \"web\"\nenv.FD = \"{socket:web\"") ==
          "6:10 worker.w.env.FD: {socket: has no '}' behind it");
    CHECK(with("") ==
          "1:9 socket.web: no worker uses it, so nobody would take its connections; name it in "
          "one, sockets = [\"web\"], or remove this table");
    CHECK(mistake_of("[socket.a]\nlisten = 1\n[socket.b]\nlisten = 2\n[worker.w]\nsockets = \"a\"\n"
                     "command = [\"srv\", \"{socket:b}\"]\n[worker.v]\ncommand = \"x\"\n"
                     "stdin_socket = \"b\"") ==
          "7:19 worker.w.command: {socket:b} needs sockets = [\"b\"] in this worker");
    // What a syntax error may have taken away is not missed.
    check_mistakes(
        "[socket.web\nlisten = 1\n[worker.w]\ncommand = \"x\"\nsockets = \"web\"\n",
        {"1:12 expected ']', but the line ends; the keys of this table were not checked"});
}

}  // namespace
}  // namespace cluster::conf
