#include "core/socket_spec.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/spec.hpp"

namespace core = cluster::core;
using core::SocketSpec;

namespace {

SocketSpec named(const std::string& name) {
    SocketSpec spec;
    spec.name = name;
    spec.host = "127.0.0.1";
    spec.port = 80;
    return spec;
}

}  // namespace

TEST_CASE("core/socket_spec: references are found one after the other, broken ones too") {
    const std::string text = "a{socket:web}{socket:}{socket:x";
    const auto first = core::find_socket_reference(text, 0);
    REQUIRE(first);
    CHECK(first->at == 1);
    CHECK(first->length == 12);
    CHECK(first->name == "web");
    CHECK(first->is_closed);
    const auto second = core::find_socket_reference(text, first->at + first->length);
    REQUIRE(second);
    CHECK(second->name.empty());
    CHECK(second->is_closed);
    const auto third = core::find_socket_reference(text, second->at + second->length);
    REQUIRE(third);
    CHECK(third->name == "x");
    CHECK_FALSE(third->is_closed);
    CHECK(third->at + third->length == text.size());
    CHECK_FALSE(core::find_socket_reference("{sockets:web} {socket web}", 0));
}

TEST_CASE("core/socket_spec: addresses as a config has them") {
    SocketSpec spec = named("s");
    CHECK(core::listen_text(spec) == "127.0.0.1:80");
    spec.host = "::1";
    CHECK(core::listen_text(spec) == "[::1]:80");
    spec.host = "";
    CHECK(core::listen_text(spec) == "*:80");
    spec.family = SocketSpec::Family::abstract;
    spec.path = "x";
    CHECK(core::listen_text(spec) == "@x");
    spec.family = SocketSpec::Family::path;
    spec.path = "/x";
    CHECK(core::listen_text(spec) == "/x");
}

TEST_CASE("core/socket_spec: a new run is needed when a worker gets other sockets, or elsewhere") {
    core::WorkerSpec before;
    before.sockets = {named("a"), named("b")};
    before.stdin_socket = named("a");
    const auto is_relaunched = [&](auto change) {
        core::WorkerSpec after = before;
        change(after);
        return core::needs_new_run(before, after);
    };
    CHECK_FALSE(is_relaunched([](auto&) {}));
    CHECK_FALSE(is_relaunched([](auto& s) {
        s.sockets[0].backlog = 1;
        s.sockets[0].reuse_port = s.sockets[0].nonblocking = true;
        s.sockets[0].mode = 0;
        s.sockets[0].user = s.sockets[0].group = "x";
    }));
    CHECK(is_relaunched([](auto& s) { s.sockets[0].port = 81; }));
    CHECK(is_relaunched([](auto& s) { s.sockets[0].host = "::1"; }));
    CHECK(is_relaunched([](auto& s) { s.sockets[0].ipv6_only = true; }));
    CHECK(is_relaunched([](auto& s) { s.sockets[0].name = "c"; }));
    CHECK(is_relaunched([](auto& s) { s.sockets.pop_back(); }));
    CHECK(is_relaunched([](auto& s) { std::swap(s.sockets[0], s.sockets[1]); }));
    CHECK(is_relaunched([](auto& s) { s.stdin_socket.reset(); }));
    CHECK(is_relaunched([](auto& s) { s.stdin_socket->port = 81; }));
}

TEST_CASE("core/socket_spec: numbers of descriptors stand where the sockets are named") {
    core::WorkerSpec spec;
    spec.launch.command = {"{socket:a}", "fd@{socket:b};{socket:in}{socket:x}{socket:b"};
    spec.launch.env = {{"N", "{socket:b};{socket:a};"}};
    CHECK(core::launch_with_sockets(spec) == spec.launch);
    spec.sockets = {named("a"), named("b")};
    spec.stdin_socket = named("in");
    CHECK(core::socket_number(spec, "a") == 3);
    CHECK(core::socket_number(spec, "b") == 4);
    CHECK(core::socket_number(spec, "in") == 0);
    CHECK_FALSE(core::socket_number(spec, "x"));
    const core::Launch launch = core::launch_with_sockets(spec);
    CHECK(launch.command == std::vector<std::string>{"3", "fd@4;0{socket:x}{socket:b"});
    CHECK(launch.env.at("N") == "4;3;");
    spec.stdin_socket = named("a");
    CHECK(core::socket_number(spec, "a") == 3);
}

TEST_CASE("core/socket_spec: a worker's sockets, each once") {
    core::WorkerSpec spec;
    CHECK(core::sockets_of(spec).empty());
    spec.stdin_socket = named("in");
    REQUIRE(core::sockets_of(spec).size() == 1);
    spec.sockets = {named("b"), named("in")};
    std::vector<std::string> names;
    for (const SocketSpec* socket : core::sockets_of(spec)) names.push_back(socket->name);
    CHECK(names == std::vector<std::string>{"b", "in"});
}
