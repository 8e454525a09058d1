// The recipes of config/examples for servers that are given their listening socket, with the
// servers of Debian: they serve, they survive a kill, and a restart refuses nobody.
#include <doctest/doctest.h>
#include <signal.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/client.hpp"
#include "support/daemon.hpp"
#include "support/ports.hpp"
#include "support/recipe.hpp"

namespace cluster::test {
namespace {

std::string request_of(int port, const std::string& request) {
    const Client client(internet(port));
    if (!client.is_connected()) return "refused";
    client.send(request);
    return client.read_all();
}

std::string get(int port) {
    return request_of(port, "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
}

/// The whole of a FastCGI request for /ping. Source: the FastCGI specification, section 3.3 on.
std::string ping_request() {
    const auto record = [](char type, const std::string& content) {
        std::string text{'\1', type, '\0', '\1'};
        text += static_cast<char>(content.size() >> 8U);
        text += static_cast<char>(content.size() & 0xFFU);
        return text + std::string(2, '\0') + content;
    };
    std::string parameters;
    for (const auto& [name, value] : Changes{
             {"SCRIPT_NAME", "/ping"}, {"SCRIPT_FILENAME", "/ping"}, {"REQUEST_METHOD", "GET"}}) {
        parameters += static_cast<char>(name.size());
        parameters += static_cast<char>(value.size());
        parameters += name + value;
    }
    const std::string begin = record('\1', std::string{'\0', '\1'} + std::string(6, '\0'));
    return begin + record('\4', parameters) + record('\4', "") + record('\5', "");
}

/// What a server does with connections that it has accepted when it is asked to end.
enum class Ending { finishes, may_drop };

/// Starts the recipe, kills what it runs, and restarts it under requests.
void check_recipe(const Daemon& daemon, const std::string& file, const std::string& worker,
                  const std::string& expected, Ending ending,
                  const std::function<std::string()>& ask) {
    const Outcome started = daemon.ctl({"start", file});
    INFO(started.err);
    INFO(daemon.err_log(worker + ".0"));
    REQUIRE(started.code == 0);
    const std::string answer = ask();
    CAPTURE(answer);
    REQUIRE(answer.find(expected) != std::string::npos);

    const pid_t first = daemon.pid_of(worker + ".0");
    REQUIRE(::kill(-first, SIGKILL) == 0);
    // What is being killed may still take a connection, and then drops it.
    REQUIRE(wait_until([&] { return ::kill(-first, 0) != 0; }));
    CHECK(ask().find(expected) != std::string::npos);
    REQUIRE(wait_until([&] {
        return daemon.state_of(worker + ".0") == "running" &&
               daemon.worker(worker + ".0").at("ready") == true;
    }));

    Process restart = daemon.start_ctl({"restart", worker});
    int asked = 0;
    int failed = 0;
    int refused = 0;
    while (restart.is_running() || asked < 20) {
        ++asked;
        const std::string each = ask();
        const bool is_good = each.find(expected) != std::string::npos;
        if (!is_good) MESSAGE("request " << asked << ": " << each);
        failed += is_good ? 0 : 1;
        refused += each == "refused" ? 1 : 0;
    }
    const Outcome restarted = restart.wait();
    INFO(restarted.err);
    CHECK(restarted.code == 0);
    CHECK(refused == 0);
    if (ending == Ending::finishes) CHECK(failed == 0);
    CHECK(daemon.pid_of(worker + ".0") != first);
    REQUIRE(daemon.ctl({"stop", worker}).code == 0);
    CHECK(daemon.worker(worker + ".0").at("last_exit").at("reason") == "stopped");
    REQUIRE(daemon.ctl({"shutdown"}).code == 0);
    CHECK(wait_until([] { return descendants().empty(); }));
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("recipes/gunicorn: LISTEN_FDS and readiness") {
        if (!find_program("gunicorn")) return skip("no gunicorn");
        const Daemon daemon;
        const int port = free_ports(1);
        recipe(daemon, "socket_app.py", {});
        const std::string file =
            recipe(daemon, "gunicorn-socket.toml", {{"8091", std::to_string(port)}});
        check_recipe(daemon, file, "api", "hello from api.0", Ending::finishes,
                     [&] { return get(port); });
    }

    TEST_CASE("recipes/uvicorn: the number of the descriptor, four instances") {
        if (!find_program("uvicorn")) return skip("no uvicorn");
        const Daemon daemon;
        const int port = free_ports(1);
        recipe(daemon, "socket_app.py", {});
        const std::string file =
            recipe(daemon, "uvicorn-socket.toml", {{"8092", std::to_string(port)}});
        check_recipe(daemon, file, "asgi", "hello from asgi.", Ending::may_drop,
                     [&] { return get(port); });
    }

    TEST_CASE("recipes/nginx: the variable NGINX") {
        if (!find_program("nginx")) return skip("no nginx");
        const Daemon daemon;
        const Changes changes = {{"8093", std::to_string(free_ports(1))}};
        const int port = std::stoi(changes[0].second);
        const std::string file =
            recipe(daemon, "nginx-socket.toml",
                   {changes[0], {"/tmp/clusterd-nginx-socket", daemon.dir() / "nginx"}});
        recipe(daemon, "nginx-socket.conf", changes);
        check_recipe(daemon, file, "site", "nginx on a socket", Ending::finishes,
                     [&] { return get(port); });
    }

    TEST_CASE("recipes/haproxy: fd@") {
        if (!find_program("haproxy")) return skip("no haproxy");
        const Daemon daemon;
        const int port = free_ports(1);
        const std::string file =
            recipe(daemon, "haproxy-socket.toml", {{"8094", std::to_string(port)}});
        recipe(daemon, "haproxy-socket.cfg", {});
        check_recipe(daemon, file, "edge", "hello from haproxy", Ending::finishes,
                     [&] { return get(port); });
    }

    TEST_CASE("recipes/php-fpm: FPM_SOCKETS") {
        if (!find_program("php-fpm8.2")) return skip("no php-fpm8.2");
        const Daemon daemon;
        const Changes changes = {{"8097", std::to_string(free_ports(1))}};
        const int port = std::stoi(changes[0].second);
        const std::string file = recipe(daemon, "php-fpm-socket.toml", changes);
        recipe(daemon, "php-fpm-socket.conf", changes);
        check_recipe(daemon, file, "php", "pong from php-fpm", Ending::finishes,
                     [&] { return request_of(port, ping_request()); });
    }

    TEST_CASE("recipes/uwsgi: LISTEN_FDS with a master") {
        if (!find_program("uwsgi-core")) return skip("no uwsgi-core");
        const Daemon daemon;
        const int port = free_ports(1);
        recipe(daemon, "socket_app.py", {});
        const std::string file =
            recipe(daemon, "uwsgi-socket.toml", {{"8095", std::to_string(port)}});
        check_recipe(daemon, file, "wsgi", "hello from wsgi.0", Ending::may_drop,
                     [&] { return get(port); });
    }

    TEST_CASE("recipes/inetd: a program that accepts from its standard input") {
        if (!find_program("python3")) return skip("no python3");
        const Daemon daemon;
        const int port = free_ports(1);
        recipe(daemon, "inetd.py", {});
        const std::string file = recipe(daemon, "inetd.toml", {{"8096", std::to_string(port)}});
        check_recipe(daemon, file, "echo", "hello from echo.", Ending::finishes,
                     [&] { return get(port); });
    }
}

}  // namespace cluster::test
