// Servers of Node.js as workers of a cluster, and clients of them.
#pragma once

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "support/daemon.hpp"
#include "support/ports.hpp"
#include "support/wrk.hpp"

namespace cluster::test {

inline const std::string kNodeCluster = "node_cluster = true\nmin_uptime = \"50ms\"\n";

inline std::string node_or_skip() {
    return program_or_skip("node");
}

/// Says who answers; `more`: JavaScript behind it.
inline std::string http_server(int port, const std::string& more = "") {
    return "const http = require('http');\n"
           "const server = http.createServer((req, res) => res.end(`${process.pid}\\n`));\n"
           "server.listen(" +
           std::to_string(port) + ", '127.0.0.1');\n" + more;
}

inline std::string url_of(int port) {
    return "http://127.0.0.1:" + std::to_string(port) + "/";
}

/// What curl gets; empty: there was no answer.
inline std::string get(const std::vector<std::string>& words) {
    std::vector<std::string> argv{"curl", "-s", "-k", "--max-time", "10"};
    argv.insert(argv.end(), words.begin(), words.end());
    Process curl({.argv = argv, .env = {}, .cwd = ""});
    return curl.wait().out;
}
inline std::string get(const std::string& url) {
    return get(std::vector<std::string>{url});
}

/// Who has answered `count` connections.
inline std::set<std::string> answerers(int port, int count) {
    std::set<std::string> pids;
    for (int i = 0; i < count; ++i) pids.insert(get(url_of(port)));
    return pids;
}

inline std::string instances(int count) {
    return "instances = " + std::to_string(count) + "\n";
}
/// "shared" or "round-robin".
inline std::string schedule_of(const std::string& name) {
    return "node_schedule = \"" + name + "\"\n";
}

inline bool has_text(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// What `describe` says of an instance.
inline Json describe(const Daemon& daemon, const std::string& id) {
    return Json::parse(daemon.ctl({"describe", id, "--json"}).out).at("instances").at(0);
}
/// Of it as a worker of a cluster; null: it does not run.
inline Json cluster_of(const Daemon& daemon, const std::string& id) {
    return describe(daemon, id).at("cluster");
}
/// What the daemon has logged.
inline std::string story_of(const Daemon& daemon) {
    return text_of(daemon.log_dir() + "/clusterd.log");
}

/// A daemon, a port, and one program of Node.js as the worker `api`. Where there is no node the
/// test is skipped: `if (!site.has_node()) return;`
class Site {
public:
    Site() : node_(node_or_skip()), port_(free_ports(1)) {}

    [[nodiscard]] bool has_node() const { return !node_.empty(); }
    [[nodiscard]] const std::string& node() const { return node_; }
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url() const { return url_of(port_); }
    [[nodiscard]] const Daemon& daemon() const { return daemon_; }

    /// It runs, and serves where it is to.
    void start(const std::string& program, const std::string& keys = "") const {
        const Outcome outcome = try_start(program, keys);
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
    }
    [[nodiscard]] Outcome try_start(const std::string& program, const std::string& keys = "") const {
        const std::string file = daemon_.write("server.js", program);
        return daemon_.start(worker_table("api", {node_, file}, kNodeCluster + keys));
    }
    /// The pids of so many instances.
    [[nodiscard]] std::vector<pid_t> pids(int count) const {
        std::vector<pid_t> result;
        for (int i = 0; i < count; ++i) result.push_back(daemon_.pid_of("api." + std::to_string(i)));
        return result;
    }
    void reload(int times = 1) const {
        for (int round = 0; round < times; ++round) {
            const Outcome outcome = daemon_.ctl({"reload", "api"});
            INFO(outcome.err);
            CHECK(outcome.code == 0);
        }
    }

private:
    std::string node_;
    Daemon daemon_;
    int port_;
};

/// No request of that load fails while all instances are replaced three times.
inline void check_lossless_reloads(const Site& site, const Load& load) {
    const pid_t first = site.daemon().pid_of("api.0");
    const LoadOutcome outcome = load_while(load, [&] { site.reload(3); });
    MESSAGE(std::string{load.is_kept ? "kept: " : "close: "} << outcome.count.answered
            << " answered, " << outcome.count.failed << " failed, in time: " << outcome.was_in_time);
    CHECK(outcome.count.answered > 0);
    CHECK(outcome.count.failed == 0);
    CHECK(site.daemon().pid_of("api.0") != first);
}

}  // namespace cluster::test
