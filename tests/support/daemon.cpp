#include "support/daemon.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "support/paths.hpp"
#include "sys/socket.hpp"

namespace cluster::test {
namespace {

bool g_has_failed = false;

/// Remembers whether the running test has failed, so that a Daemon knows whether to tell its story.
struct FailureListener : doctest::IReporter {
    explicit FailureListener(const doctest::ContextOptions&) {}
    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_start(const doctest::TestCaseData&) override { g_has_failed = false; }
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_end(const doctest::CurrentTestCaseStats&) override {}
    void test_case_exception(const doctest::TestCaseException&) override { g_has_failed = true; }
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData& data) override { g_has_failed |= data.m_failed; }
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("failure", 1, FailureListener);

std::string quoted(const std::string& text) {
    return Json(text).dump();  // a JSON string is a TOML basic string
}

std::string tail(const std::string& text, std::size_t bytes) {
    return text.size() <= bytes ? text : "…" + text.substr(text.size() - bytes);
}

}  // namespace

std::string worker_program(const std::string& name) {
    return std::string(CLUSTER_WORKERS_DIR) + "/" + name;
}

std::string worker_table(const std::string& name, const std::vector<std::string>& command,
                         const std::string& more) {
    std::string words;
    for (const auto& word : command) words += (words.empty() ? "" : ", ") + quoted(word);
    return "[worker." + name + "]\ncommand = [" + words + "]\n" + more + "\n";
}

void skip(const std::string& reason) {
    std::cout << "SKIPPED: " << reason << std::endl;
}

std::string program_or_skip(const std::string& name) {
    if (const auto path = find_program(name)) return *path;
    skip(name + " is not installed");
    return "";
}

bool is_root() {
    return ::geteuid() == 0;
}

std::vector<Json> parse_lines(const std::string& text) {
    std::vector<Json> result;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) result.push_back(Json::parse(line));
    return result;
}

Daemon::Daemon() {
    const char* path = std::getenv("PATH");
    env_ = {{"PATH", path == nullptr ? "/usr/bin:/bin:/usr/sbin:/sbin" : path},
            {"HOME", dir_.path()},
            {"LANG", "C.UTF-8"},
            {"CLUSTER_RUNTIME_DIR", dir_ / "run"},
            {"CLUSTER_STATE_DIR", dir_ / "state"},
            {"CLUSTER_LOG_DIR", dir_ / "log"},
            {"CLUSTER_TEST_CANARY", "must not reach a worker"},
            {"ASAN_OPTIONS", "detect_leaks=1:log_path=" + dir_ / "sanitizer"},
            {"UBSAN_OPTIONS", "print_stacktrace=1:log_path=" + dir_ / "sanitizer"}};
}

Daemon::~Daemon() {
    if (g_has_failed || std::uncaught_exceptions() > 0) tell_story();
    kill_descendants();
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path(), ignored)) {
        const std::string name = entry.path().filename();
        if (name.rfind("sanitizer", 0) != 0) continue;
        const std::string report = text_of(entry.path());
        // A process that is killed while its leaks are looked for makes the search complain.
        const bool is_cut_short = report.find("Sanitizer") == std::string::npos &&
                                  report.find("runtime error: ") == std::string::npos;
        if (!is_cut_short) FAIL_CHECK("sanitizer report: " << report);
    }
}

void Daemon::tell_story() const {
    std::string table = "none";
    try {
        table = start_ctl({"status"}).wait(seconds{5}).out;
    } catch (const std::exception& error) {
        table = error.what();
    }
    std::cout << "--- clusterctl status\n"
              << tail(table, 4000) << "\n--- daemon log\n"
              << tail(text_of(log_dir() + "/clusterd.log"), 8000) << "\n---" << std::endl;
}

milliseconds kill_supervisor(const Daemon& daemon) {
    const pid_t before = daemon.supervisor_pid();
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(::kill(before, SIGKILL) == 0);
    REQUIRE(wait_until([&] { return daemon.is_answering(); }));
    const auto took = std::chrono::steady_clock::now() - start;
    REQUIRE(wait_until([&] { return daemon.supervisor_pid() != before; }));
    return std::chrono::duration_cast<milliseconds>(took);
}

Process Daemon::start_ctl(const std::vector<std::string>& arguments) const {
    Command command{.argv = {CLUSTERCTL_PATH}, .env = env_, .cwd = dir_.path()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return Process(command);
}

Outcome Daemon::ctl(const std::vector<std::string>& arguments, milliseconds limit) const {
    Outcome outcome = start_ctl(arguments).wait(limit);
    CHECK_FALSE(outcome.is_held_open);
    return outcome;
}

Process Daemon::start_clusterd(const std::vector<std::string>& arguments,
                               const std::vector<std::string>& wrapper) const {
    Command command{.argv = wrapper, .env = env_, .cwd = dir_.path()};
    command.argv.push_back(CLUSTERD_PATH);
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return Process(command);
}

std::string Daemon::write(const std::string& name, const std::string& text) const {
    write_text(dir_ / name, text);
    return dir_ / name;
}

std::string Daemon::copy_in(const std::string& program) const {
    const std::string copy = dir_ / std::filesystem::path(program).filename().string();
    std::filesystem::copy_file(program, copy, std::filesystem::copy_options::overwrite_existing);
    return copy;
}

Outcome Daemon::start(const std::string& config) const {
    return ctl({"start", write("config.toml", config)});
}

Json Daemon::status() const {
    const Outcome outcome = ctl({"status", "--json"});
    if (outcome.code != 0) {
        throw std::runtime_error("status: code " + std::to_string(outcome.code) + ": " +
                                 outcome.err);
    }
    return Json::parse(outcome.out);
}

Json Daemon::worker(const std::string& id) const {
    const Json document = status();
    for (const auto& element : document.at("workers")) {
        if (element.at("id") == id) return element;
    }
    throw std::runtime_error("no " + id + " in " + document.dump());
}

std::vector<Json> Daemon::events(const std::string& since) const {
    const Outcome outcome = ctl({"events", "--json", "--since", since});
    REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return parse_lines(outcome.out);
}

std::string Daemon::state_of(const std::string& id) const {
    return worker(id).at("state").get<std::string>();
}

pid_t Daemon::pid_of(const std::string& id) const {
    const Json element = worker(id);
    const auto found = element.find("pid");
    return found == element.end() || found->is_null() ? 0 : found->get<pid_t>();
}

pid_t Daemon::keeper_pid() const {
    return status().at("daemon").at("pid").get<pid_t>();
}

pid_t Daemon::supervisor_pid() const {
    return status().at("daemon").at("supervisor_pid").get<pid_t>();
}

bool Daemon::wait_for_state(const std::string& id, const std::string& state,
                            milliseconds limit) const {
    return wait_until([&] { return state_of(id) == state; }, limit);
}

bool Daemon::is_answering() const {
    RawClient client(control_socket());
    return client.is_connected() &&
           client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.version\"}\n") &&
           client.line(seconds{2}).has_value();
}

std::string Daemon::out_log(const std::string& id) const {
    return text_of(log_dir() + "/" + id + ".out.log");
}

std::string Daemon::err_log(const std::string& id) const {
    return text_of(log_dir() + "/" + id + ".err.log");
}

RawClient::RawClient(const std::string& socket_path) {
    if (auto socket = sys::connect_unix(socket_path, true)) fd_ = std::move(*socket);
}

bool RawClient::send(const std::string& bytes, milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit * kPatience;
    std::size_t sent = 0;
    while (sent < bytes.size() && std::chrono::steady_clock::now() < deadline) {
        const auto count =
            ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count >= 0) {
            sent += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN) {
            pollfd entry{fd_.get(), POLLOUT, 0};
            ::poll(&entry, 1, 10);
        } else {
            return false;
        }
    }
    return sent == bytes.size();
}

void RawClient::finish_sending() {
    ::shutdown(fd_.get(), SHUT_WR);
}

bool RawClient::read_more(milliseconds limit) {
    pollfd entry{fd_.get(), POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(limit.count())) <= 0) return true;
    std::array<char, 65536> buffer{};
    const auto count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count > 0) received_.append(buffer.data(), static_cast<std::size_t>(count));
    has_ended_ = count == 0 || (count < 0 && errno != EAGAIN);
    return !has_ended_;
}

std::optional<std::string> RawClient::line(milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit * kPatience;
    while (true) {
        const auto end = received_.find('\n');
        if (end != std::string::npos) {
            const std::string text = received_.substr(0, end);
            received_.erase(0, end + 1);
            return text;
        }
        if (has_ended_ || std::chrono::steady_clock::now() >= deadline) return std::nullopt;
        read_more(milliseconds{10});
    }
}

bool RawClient::is_closed(milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit * kPatience;
    while (!has_ended_ && std::chrono::steady_clock::now() < deadline) read_more(milliseconds{10});
    return has_ended_;
}

}  // namespace cluster::test
