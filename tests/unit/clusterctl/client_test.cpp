// The client against a daemon that answers, drops connections, or talks nonsense.
#include "clusterctl/client.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clusterctl/session.hpp"
#include "ctl/line_buffer.hpp"
#include "sys/file.hpp"
#include "sys/socket.hpp"

namespace ctl = cluster::ctl;
namespace sys = cluster::sys;
using cluster::clusterctl::Client;
using cluster::clusterctl::Failure;
using cluster::clusterctl::Interrupted;

namespace {

/// Serves one connection after the other in a thread of its own until it is destroyed.
class FakeDaemon {
public:
    /// The answer to a line; none: drop the connection.
    using Answer = std::function<std::optional<std::string>(const std::string& line, int request)>;

    FakeDaemon(const std::string& path, Answer answer) : answer_(std::move(answer)) {
        auto listener = sys::listen_unix(path, 8);
        auto pipe = sys::open_pipe();
        REQUIRE(listener.has_value());
        REQUIRE(pipe.has_value());
        listener_ = std::move(*listener);
        stop_ = std::move(*pipe);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeDaemon() {
        stop_.write_end.reset();
        thread_.join();
    }
    FakeDaemon(const FakeDaemon&) = delete;
    FakeDaemon& operator=(const FakeDaemon&) = delete;

    [[nodiscard]] int requests() const { return requests_; }

private:
    [[nodiscard]] bool wait(int descriptor) const {
        using cluster::clusterctl::wait_for;
        using cluster::clusterctl::Woken;
        return wait_for(descriptor, false, stop_.read_end.get(), std::nullopt) == Woken::ready;
    }

    void serve() {
        while (wait(listener_.get())) {
            auto connection = sys::accept_connection(listener_.get());
            if (connection) talk(connection->get());
        }
    }

    void talk(int connection) {
        ctl::LineBuffer lines(ctl::kMaxLineBytes);
        std::array<std::byte, 4096> buffer;
        while (wait(connection)) {
            const auto size = sys::read_some(connection, buffer);
            if (!size || *size == 0) return;
            if (!lines.append({reinterpret_cast<const char*>(buffer.data()), *size})) return;
            while (const auto line = lines.take_line()) {
                const auto answer = answer_(*line, ++requests_);
                if (!answer || !send_all(connection, *answer)) return;
            }
        }
    }

    /// As slowly as the client reads.
    static bool send_all(int connection, std::string_view bytes) {
        using cluster::clusterctl::wait_for;
        using cluster::clusterctl::Woken;
        while (!bytes.empty()) {
            const auto sent = sys::send_some(connection, bytes);
            if (sent) {
                bytes.remove_prefix(*sent);
            } else if (wait_for(connection, true, -1, std::nullopt) != Woken::ready) {
                return false;
            }
        }
        return true;
    }

    Answer answer_;
    sys::UniqueFd listener_;
    sys::Pipe stop_;
    std::atomic<int> requests_{0};
    std::thread thread_;
};

/// A directory of our own, gone at the end.
struct Place {
    Place() {
        std::string pattern = "/tmp/clusterctl-client-XXXXXX";
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        directories.runtime = directories.state = directories.log = pattern;
    }
    ~Place() {
        std::error_code ignored;
        std::filesystem::remove_all(directories.runtime, ignored);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    cluster::place::Directories directories;
};

ctl::RequestId id_of(const std::string& line) {
    const auto request = ctl::parse_request(line);
    REQUIRE(request.has_value());
    return request->id;
}

std::string done(const std::string& line) {
    ctl::OperationAnswer operation;
    operation.operation = 7;
    operation.state = "done";
    return ctl::render_answer(id_of(line), operation);
}

template <class Call>
Failure failure_of(Call call) {
    try {
        call();
    } catch (const Failure& failure) {
        return failure;
    }
    FAIL("nothing was thrown");
    return {0, "", ""};
}

}  // namespace

TEST_CASE("clusterctl/client: no daemon is exit code 3 and says what to do") {
    const Place place;
    Client client(place.directories);
    CHECK_FALSE(client.try_connect());
    const Failure failure = failure_of([&] { (void)client.status({}); });
    CHECK(failure.exit_code == cluster::clusterctl::kNoDaemon);
    CHECK(failure.message == "no daemon runs here (" + place.directories.control_socket() + ")");
    CHECK_FALSE(failure.hint.empty());
}

TEST_CASE("clusterctl/client: a socket that nobody listens on is no daemon either") {
    const Place place;
    { const auto stale = sys::listen_unix(place.directories.control_socket(), 1); }
    Client client(place.directories);
    CHECK_FALSE(client.try_connect());
}

TEST_CASE("clusterctl/client: several questions go over one connection") {
    const Place place;
    const FakeDaemon daemon(place.directories.control_socket(), [](const std::string& line, int) {
        ctl::VersionAnswer version;
        version.version = "9.9";
        return ctl::render_answer(id_of(line), version);
    });
    Client client(place.directories);
    CHECK(client.version().version == "9.9");
    CHECK(client.version().version == "9.9");
    CHECK(client.listener_pid() == ::getpid());
}

TEST_CASE("clusterctl/client: an answer that comes in pieces and a huge one are taken whole") {
    const Place place;
    ctl::StatusAnswer status;
    for (std::uint32_t i = 0; i < 3000; ++i) {
        ctl::WorkerStatus worker;
        worker.id = "api." + std::to_string(i);
        worker.out_log = std::string(200, 'x');
        status.workers.push_back(worker);
    }
    const FakeDaemon daemon(place.directories.control_socket(),
                            [&status](const std::string& line, int) -> std::optional<std::string> {
                                return ctl::render_answer(id_of(line), status);
                            });
    Client client(place.directories);
    CHECK(client.status({}).workers.size() == 3000);
}

TEST_CASE("clusterctl/client: a daemon that says all or nothing of a row is asked for all") {
    const Place place;
    const FakeDaemon daemon(
        place.directories.control_socket(),
        [](const std::string& line, int) -> std::optional<std::string> {
            if (line.find("fields") != std::string::npos) {
                return ctl::render_error(id_of(line), {ctl::ErrorCode::invalid_params,
                                                       "params.fields: unknown field",
                                                       {}});
            }
            ctl::StatusAnswer status;
            status.workers.emplace_back().id = "api.0";
            return ctl::render_answer(id_of(line), status);
        });
    Client client(place.directories);
    const ctl::StatusAnswer status = client.status({}, {"id", "pid"});
    REQUIRE(status.workers.size() == 1);
    CHECK(status.workers[0].id == "api.0");
    CHECK(daemon.requests() == 2);
}

TEST_CASE(
    "clusterctl/client: a connection lost while waiting is made again, and the operation asked for "
    "by id") {
    const Place place;
    std::vector<std::string> seen;
    const FakeDaemon daemon(
        place.directories.control_socket(),
        [&seen](const std::string& line, int request) -> std::optional<std::string> {
            seen.push_back(line);
            if (request == 2 || request == 3) return std::nullopt;
            return done(line);
        });
    Client client(place.directories);
    CHECK(client.change(ctl::request::Stop{{"api"}}).operation == 7);
    CHECK(client.wait(7, 10).state == "done");
    REQUIRE(seen.size() == 4);
    CHECK(seen[1] == seen[3]);
    CHECK(seen[3].find(R"("operation":7)") != std::string::npos);
}

TEST_CASE("clusterctl/client: what must not be done twice is not asked twice") {
    for (const bool is_repeatable : {true, false}) {
        const Place place;
        const FakeDaemon daemon(
            place.directories.control_socket(),
            [](const std::string& line, int request) -> std::optional<std::string> {
                return request == 1 ? std::nullopt : std::optional(done(line));
            });
        Client client(place.directories);
        if (is_repeatable) {
            CHECK(client.change(ctl::request::Scale{"api", 3, {}}).state == "done");
            CHECK(daemon.requests() == 2);
        } else {
            const Failure failure = failure_of([&] {
                (void)client.change(ctl::request::Scale{"api", {}, 1});
            });
            CHECK(failure.exit_code == cluster::clusterctl::kFailed);
            CHECK(failure.message.find("not known") != std::string::npos);
            CHECK(daemon.requests() == 1);
        }
    }
}

TEST_CASE("clusterctl/client: a refusal keeps its code, its words and its diagnostics") {
    const Place place;
    const FakeDaemon daemon(
        place.directories.control_socket(), [](const std::string& line, int request) {
            const ctl::ErrorCode code =
                request == 1 ? ctl::ErrorCode::bad_config : ctl::ErrorCode::no_match;
            return ctl::render_error(id_of(line), {code, "no", {"a.toml:1:1: error: x"}});
        });
    Client client(place.directories);
    const Failure bad = failure_of([&] { (void)client.change(ctl::request::Load{"/a", "", ""}); });
    CHECK(bad.exit_code == cluster::clusterctl::kUsage);
    CHECK(bad.code == "bad_config");
    CHECK(bad.diagnostics == std::vector<std::string>{"a.toml:1:1: error: x"});
    const Failure unmatched = failure_of([&] { (void)client.status({"x"}); });
    CHECK(unmatched.exit_code == cluster::clusterctl::kFailed);
    CHECK(unmatched.code == "no_match");
}

TEST_CASE("clusterctl/client: an answer without sense is a failure") {
    const Place place;
    const FakeDaemon daemon(
        place.directories.control_socket(),
        [](const std::string&, int) -> std::optional<std::string> { return "hello\n"; });
    Client client(place.directories);
    CHECK(failure_of([&] { (void)client.version(); }).code == "internal_error");
}

TEST_CASE("clusterctl/client: a signal ends the waiting") {
    const Place place;
    auto pipe = sys::open_pipe();
    REQUIRE(pipe.has_value());
    const FakeDaemon daemon(place.directories.control_socket(),
                            [&pipe](const std::string&, int) -> std::optional<std::string> {
                                (void)sys::write_all(pipe->write_end.get(), "x");
                                return "";  // and never anything more
                            });
    Client client(place.directories);
    client.set_interrupt(pipe->read_end.get());
    CHECK_THROWS_AS((void)client.wait(1, 60'000), Interrupted);
}

TEST_CASE("clusterctl/client: a daemon that is going away is not waited for") {
    const Place place;
    const FakeDaemon daemon(
        place.directories.control_socket(),
        [](const std::string&, int) -> std::optional<std::string> { return std::nullopt; });
    Client client(place.directories);
    client.set_reconnecting(false);
    CHECK(failure_of([&] { (void)client.wait(1, 0); }).exit_code == cluster::clusterctl::kNoDaemon);
    CHECK(daemon.requests() == 1);
}
