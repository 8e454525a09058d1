// Servers of Node.js as workers of a cluster, and clients of them.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "support/daemon.hpp"

namespace cluster::test {

inline const std::string kNodeCluster = "node_cluster = true\nmin_uptime = \"50ms\"\n";

/// node's path; empty, and the test is skipped, without it.
inline std::string node_or_skip() {
    if (const auto path = find_program("node")) return *path;
    skip("node is not installed");
    return "";
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

inline bool has_text(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace cluster::test
