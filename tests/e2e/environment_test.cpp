#include <doctest/doctest.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "support/daemon.hpp"

namespace cluster::test {
namespace {

/// What the program `report` said: "fd 0 /dev/null" becomes {"fd 0", "/dev/null"}.
struct Report {
    std::map<std::string, std::string> fds;
    std::map<std::string, std::string> env;
    std::map<std::string, std::string> rest;
};

Report parse_report(const std::string& text) {
    Report report;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto blank = line.find_first_of(" \t");
        if (blank == std::string::npos) continue;
        const std::string key = line.substr(0, blank);
        const std::string value = line.substr(blank + 1);
        if (key == "fd") {
            report.fds[value.substr(0, value.find(' '))] = value.substr(value.find(' ') + 1);
        } else if (key == "env") {
            report.env[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
        } else {
            report.rest[key] = value;
        }
    }
    return report;
}

Report report_of(const Daemon& daemon, const std::string& id) {
    REQUIRE(wait_until([&] { return daemon.out_log(id).find("\ndone\n") != std::string::npos; }));
    return parse_report(daemon.out_log(id));
}

Report start_report(const Daemon& daemon, const std::string& more) {
    const Outcome outcome = daemon.start(
        worker_table("rep", {worker_program("report")}, "min_uptime = \"50ms\"\n" + more));
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return report_of(daemon, "rep.0");
}

}  // namespace

TEST_SUITE("e2e") {
    TEST_CASE("worker/descriptors: a worker has 0, 1, 2, its channel, the store and nothing else") {
        const Daemon daemon;
        const Report report = start_report(daemon, "");
        CHECK(report.fds.size() == 5);
        CHECK(report.fds.at("3").rfind("socket:", 0) == 0);
        CHECK(report.env.at("CLUSTER_CHANNEL_FD") == "3");
        CHECK(report.fds.at("4").find("cluster-store") != std::string::npos);
        CHECK(report.env.at("CLUSTER_STORE").rfind("v1:4:", 0) == 0);
        CHECK(report.env.count("NODE_CHANNEL_FD") == 0);
        CHECK(report.fds.at("0") == "/dev/null");
        CHECK(report.fds.at("1").rfind("pipe:", 0) == 0);
        CHECK(report.fds.at("2").rfind("pipe:", 0) == 0);
        CHECK(report.fds.at("1") != report.fds.at("2"));
    }

    TEST_CASE(
        "worker/descriptors: without channel and store there is no third, and a channel of Node "
        "has a name") {
        const Daemon daemon;
        const Report report = start_report(daemon, "channel = false\nstore = false\n");
        CHECK(report.fds.size() == 3);
        CHECK(report.env.count("CLUSTER_CHANNEL_FD") == 0);
        CHECK(report.env.count("CLUSTER_STORE") == 0);
        const std::string file =
            daemon.write("node.toml", worker_table("other", {worker_program("report")},
                                                   "min_uptime = \"50ms\"\nchannel = \"node\"\n"));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        const Report other = report_of(daemon, "other.0");
        CHECK(other.env.at("NODE_CHANNEL_FD") == "3");
        CHECK(other.env.at("NODE_CHANNEL_SERIALIZATION_MODE") == "json");
        CHECK(other.env.at("CLUSTER_CHANNEL_FD") == "3");
    }

    TEST_CASE("worker/descriptors: nothing more after many workers and a new supervisor") {
        const Daemon daemon;
        REQUIRE(daemon
                    .start(worker_table("idle", {worker_program("idle")},
                                        "min_uptime = \"50ms\"\ninstances = 20"))
                    .code == 0);
        ::kill(daemon.supervisor_pid(), SIGKILL);
        REQUIRE(wait_until([&] { return daemon.is_answering(); }));
        const std::string file =
            daemon.write("second.toml",
                         worker_table("rep", {worker_program("report")}, "min_uptime = \"50ms\""));
        REQUIRE(daemon.ctl({"start", file}).code == 0);
        CHECK(report_of(daemon, "rep.0").fds.size() == 5);
    }

    TEST_CASE("worker/session: leads a session and a group of its own") {
        const Daemon daemon;
        const Report report = start_report(daemon, "");
        CHECK(report.rest.at("session") == report.rest.at("pid"));
        CHECK(report.rest.at("group") == report.rest.at("pid"));
    }

    TEST_CASE("worker/signals: none ignored and none blocked") {
        const Daemon daemon;
        const Report report = start_report(daemon, "");
        CHECK(report.rest.at("SigIgn:").find_first_not_of("0") == std::string::npos);
        CHECK(report.rest.at("SigBlk:").find_first_not_of("0") == std::string::npos);
    }

    TEST_CASE("worker/environment: built from scratch") {
        const Daemon daemon;
        const Report report = start_report(daemon, "instances = 2\nenv = { PORT = \"8000\" }");
        CHECK(report.env.at("CLUSTER_WORKER") == "rep");
        CHECK(report.env.at("CLUSTER_INSTANCE") == "0");
        CHECK(report.env.at("CLUSTER_INSTANCES") == "2");
        CHECK(report.env.at("NODE_APP_INSTANCE") == "0");
        CHECK(report.env.at("PORT") == "8000");
        CHECK_FALSE(report.env.at("PATH").empty());
        CHECK_FALSE(report.env.at("HOME").empty());
        const Report other = report_of(daemon, "rep.1");
        CHECK(other.env.at("CLUSTER_INSTANCE") == "1");
        CHECK(other.env.at("NODE_APP_INSTANCE") == "1");
        const std::set<std::string> expected{"CLUSTER_WORKER",
                                             "CLUSTER_CHANNEL_FD",
                                             "CLUSTER_INSTANCE",
                                             "CLUSTER_INSTANCES",
                                             "CLUSTER_STORE",
                                             "CLUSTER_SOCKET",
                                             "NODE_APP_INSTANCE",
                                             "PORT",
                                             "PATH",
                                             "HOME",
                                             "USER",
                                             "LOGNAME",
                                             "SHELL",
                                             "LANG",
                                             "TZ",
                                             "LC_ALL",
                                             "LC_CTYPE",
                                             "TERM"};
        for (const auto& [key, value] : report.env) CHECK_MESSAGE(expected.count(key) == 1, key);
        CHECK(report.env.count("CLUSTER_TEST_CANARY") == 0);
        CHECK(report.env.count("CLUSTER_RUNTIME_DIR") == 0);
    }

    TEST_CASE("worker/environment: an ad hoc worker takes what its caller says") {
        Daemon daemon;
        daemon.env()["PATH"] += ":/extra/path";
        REQUIRE(daemon
                    .ctl({"start", "--name", "rep", "--env", "COLOUR=blue", "--",
                          worker_program("report")})
                    .code == 0);
        Report report = report_of(daemon, "rep.0");
        CHECK(report.env.at("COLOUR") == "blue");
        CHECK(report.env.at("PATH").find("/extra/path") != std::string::npos);
        CHECK(report.env.count("CLUSTER_TEST_CANARY") == 0);
        CHECK(report.rest.at("cwd") == daemon.dir().path());
        REQUIRE(
            daemon.ctl({"start", "--name", "whole", "--keep-env", "--", worker_program("report")})
                .code == 0);
        report = report_of(daemon, "whole.0");
        CHECK(report.env.at("CLUSTER_TEST_CANARY") == "must not reach a worker");
        CHECK(report.env.at("CLUSTER_WORKER") == "whole");
    }

    TEST_CASE("worker/place: directory and umask and limits and priority") {
        const Daemon daemon;
        const Report report = start_report(
            daemon, "cwd = \"/usr\"\numask = \"077\"\nnice = 5\nlimits = { nofile = 512 }");
        CHECK(report.rest.at("cwd") == "/usr");
        CHECK(report.rest.at("umask") == "077");
        CHECK(report.rest.at("nice") == "5");
        CHECK(report.rest.at("nofile") == "512 512");
    }

    TEST_CASE("worker/place: the directory of the config is the default") {
        const Daemon daemon;
        const Report report = start_report(daemon, "");
        CHECK(report.rest.at("cwd") == daemon.dir().path());
        CHECK(report.rest.at("umask") == "022");
    }

    TEST_CASE("worker/user: another user with its groups and its home") {
        if (!is_root()) return skip("only root's daemon may switch users");
        const passwd* nobody = ::getpwnam("nobody");
        REQUIRE(nobody != nullptr);
        const std::string uid = std::to_string(nobody->pw_uid);
        const std::string gid = std::to_string(nobody->pw_gid);
        const std::string home = nobody->pw_dir;
        const Daemon daemon;
        std::filesystem::permissions(daemon.dir().path(), std::filesystem::perms(0755));
        const Outcome outcome =
            daemon.start(worker_table("rep", {daemon.copy_in(worker_program("report"))},
                                      "min_uptime = \"50ms\"\nuser = \"nobody\"\ncwd = \"/\""));
        INFO(outcome.err);
        REQUIRE(outcome.code == 0);
        const Report report = report_of(daemon, "rep.0");
        CHECK(report.rest.at("Uid:") == uid + "\t" + uid + "\t" + uid + "\t" + uid);
        CHECK(report.rest.at("Gid:") == gid + "\t" + gid + "\t" + gid + "\t" + gid);
        CHECK(report.rest.at("Groups:").find("0 ") != 0);
        CHECK(report.env.at("USER") == "nobody");
        CHECK(report.env.at("HOME") == home);
    }
}

}  // namespace cluster::test
