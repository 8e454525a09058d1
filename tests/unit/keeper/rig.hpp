// A real keeper in a process of its own, with the test in the place of its supervisor.
//
// The test binary plays three parts (role_test.cpp): the test; the keeper, in a child process; and
// the supervisor that this keeper starts, which only passes its end of the link on to the test and
// stays alive until it is told to end.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "place/directories.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "wire/message.hpp"
#include "wire/plan.hpp"
#include "wire/table.hpp"

namespace keeper_test {

namespace wire = cluster::wire;
namespace sys = cluster::sys;
using cluster::Op;
using cluster::Run;

inline constexpr const char* kRuntimeVariable = "CLUSTER_TEST_RUNTIME";
inline constexpr const char* kKeeperArgument = "--play-keeper";
inline constexpr const char* kSupervisorName = "test-supervisor";  // in the runtime directory
inline constexpr std::chrono::seconds kPatience(20);
/// A command that does nothing until it is killed, whatever its descriptors are.
inline const std::string kLasts = "tail -f /dev/null </dev/null >/dev/null 2>&1";

inline Run run_of(std::uint32_t slot, std::uint64_t generation) {
    return {.slot = cluster::Slot{slot}, .generation = cluster::Generation{generation}};
}

/// Waits for what has no descriptor to wait on. False when it did not come true in time.
inline bool wait_until(const std::function<bool()>& condition) {
    const auto deadline = sys::monotonic_now() + kPatience;
    while (!condition()) {
        if (sys::monotonic_now() > deadline) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

inline bool wait_readable(int fd) {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, 1000 * static_cast<int>(kPatience.count())) == 1;
}

struct Answer {
    wire::Message message;
    std::vector<sys::UniqueFd> fds;
};

/// The supervisor's end of the link, in the hands of the test.
class Supervisor {
public:
    sys::UniqueFd
        connection;  // to the process that plays the supervisor; its end is that process's end
    sys::UniqueFd link;
    std::int32_t pid = 0;
    sys::UniqueFd table_file;
    sys::Mapping table;
    wire::Hello hello{};

    [[nodiscard]] const wire::Table& shared() const { return *table.as<const wire::Table>(); }
    [[nodiscard]] wire::SlotRecord slot(std::uint32_t index) const {
        wire::SlotRecord record;
        REQUIRE(wire::read_slot(shared().slots[index], record));
        return record;
    }

    [[nodiscard]] cluster::Status try_send(wire::Message message,
                                           const std::vector<int>& fds = {}) {
        message.sequence = ++sequence_;
        message.fd_count = static_cast<std::uint32_t>(fds.size());
        return sys::send_packet(link.get(), std::as_bytes(std::span(&message, 1)), fds);
    }
    void send(const wire::Message& message, const std::vector<int>& fds = {}) {
        REQUIRE(try_send(message, fds));
    }
    [[nodiscard]] std::uint64_t last_sequence() const { return sequence_; }

    [[nodiscard]] std::optional<Answer> try_receive() {
        std::array<std::byte, sizeof(wire::Message)> bytes;
        sys::Packet packet;
        if (!sys::receive_packet(link.get(), bytes, packet) || packet.bytes == 0) return {};
        const auto message = wire::decode(bytes.data(), packet.bytes, packet.fd_count);
        REQUIRE(message);
        Answer answer{.message = *message, .fds = {}};
        for (std::size_t i = 0; i < packet.fd_count; ++i) {
            answer.fds.push_back(std::move(packet.fds[i]));
        }
        return answer;
    }
    [[nodiscard]] Answer receive() {
        REQUIRE(wait_readable(link.get()));
        auto answer = try_receive();
        REQUIRE(answer);
        return std::move(*answer);
    }
    /// The next message of this kind; others are passed over.
    [[nodiscard]] Answer expect(wire::Kind kind) {
        while (true) {
            Answer answer = receive();
            if (answer.message.kind == kind) return answer;
        }
    }
    [[nodiscard]] cluster::Error expect_refusal_of_any() {
        const wire::Refused refused = expect(wire::Kind::refused).message.payload.refused;
        refused_ = refused.sequence;
        return {static_cast<Op>(refused.op), refused.code};
    }
    /// Of the request that was sent last.
    [[nodiscard]] cluster::Error expect_refusal() {
        const cluster::Error error = expect_refusal_of_any();
        CHECK(refused_ == sequence_);
        return error;
    }

    void greet(std::uint32_t batches = 0) {
        wire::Message message = wire::make_message(wire::Kind::hello);
        message.payload.hello = {.message_bytes = sizeof(wire::Message),
                                 .slot_record_bytes = sizeof(wire::SlotRecord),
                                 .held_record_bytes = sizeof(wire::HeldRecord),
                                 .max_slots = wire::kMaxSlots,
                                 .max_held = wire::kMaxHeld,
                                 .is_terminating = 0,
                                 .boot_id_low = 0,
                                 .boot_id_high = 0,
                                 .supervisor_starts = 0,
                                 .batches = batches,
                                 .reserved = 0};
        send(message);
    }
    void send_plan(Run run, int plan, const std::vector<int>& fds = {}) {
        wire::Message message = wire::make_message(wire::Kind::spawn, run);
        message.payload.spawn.epoch = 77;
        std::vector<int> attached{plan};
        attached.insert(attached.end(), fds.begin(), fds.end());
        send(message, attached);
    }
    [[nodiscard]] wire::Spawned spawn(Run run, const wire::PlanBuilder& builder,
                                      const std::vector<int>& fds = {});
    void signal(Run run, int number, bool then_continue = false) {
        wire::Message message = wire::make_message(wire::Kind::signal, run);
        message.payload.signal.signal = number;
        message.payload.signal.then_continue = then_continue ? 1U : 0U;
        send(message);
    }
    void hold(const wire::HeldKey& key, const std::vector<int>& fds) {
        wire::Message message = wire::make_message(wire::Kind::hold);
        message.payload.hold.key = key;
        send(message, fds);
    }
    [[nodiscard]] wire::SlotRecord wait_exited(std::uint32_t index) {
        CHECK(wait_until([&] { return slot(index).state == wire::SlotState::exited; }));
        return slot(index);
    }

private:
    std::uint64_t sequence_ = 0;
    std::uint64_t refused_ = 0;
};

inline sys::UniqueFd make_plan_file(const wire::PlanBuilder& builder, bool is_sealed = true) {
    const auto bytes = builder.finish();
    REQUIRE(bytes);
    auto file = sys::open_memory_file("plan", bytes->size());
    REQUIRE(file);
    REQUIRE(sys::write_at(file->get(), *bytes, 0));
    if (is_sealed) REQUIRE(sys::seal_all(file->get()));
    return std::move(*file);
}

inline wire::Spawned Supervisor::spawn(Run run, const wire::PlanBuilder& builder,
                                       const std::vector<int>& fds) {
    const sys::UniqueFd plan = make_plan_file(builder);
    send_plan(run, plan.get(), fds);
    const Answer answer = expect(wire::Kind::spawned);
    CHECK(answer.message.sequence == sequence_);
    CHECK(answer.message.slot == run.slot.value);
    CHECK(answer.message.generation == run.generation.value);
    const bool has_started = answer.message.payload.spawned.op == 0;
    CHECK(answer.fds.size() == (has_started ? 1 : 0));
    return answer.message.payload.spawned;
}

/// /bin/sh -c `script`, in a session of its own, with /dev/null nowhere: descriptors are up to the
/// caller.
inline wire::PlanBuilder shell(const std::string& script) {
    wire::PlanBuilder builder;
    builder.session();
    builder.add_argument("sh");
    builder.add_argument("-c");
    builder.add_argument(script);
    builder.add_environment("PATH", "/usr/bin:/bin");
    return builder;
}
inline wire::PlanBuilder shell_done(const std::string& script) {
    wire::PlanBuilder builder = shell(script);
    builder.exec("/bin/sh");
    return builder;
}

class Rig {
public:
    struct Options {
        std::string shell_prefix;    // before the keeper starts, such as "ulimit -n 300; "
        bool has_supervisor = true;  // whether the file to start as supervisor is there
    };
    Rig() : Rig(Options{}) {}
    explicit Rig(const Options& options) : directory_("/tmp/keeper-test-XXXXXX") {
        REQUIRE(::mkdtemp(directory_.data()) != nullptr);
        auto listener = sys::listen_unix(directory_ + "/test.sock", 16);
        REQUIRE(listener);
        listener_ = std::move(*listener);
        if (options.has_supervisor) add_supervisor(kSupervisorName);
        start_keeper(options.shell_prefix);
    }
    ~Rig() {
        // Nobody may survive the test: workers first, while the table still says who they are.
        if (last_table_.is_mapped()) {
            const auto& shared = *last_table_.as<const wire::Table>();
            for (std::uint32_t i = 0; i < shared.header.slots_used; ++i) {
                const wire::SlotRecord& record = shared.slots[i];
                const bool is_left =
                    record.state == wire::SlotState::running || record.group_alive != 0;
                if (is_left && record.pid > 0) ::kill(-record.pid, SIGKILL);
            }
        }
        if (keeper_ != 0) {
            ::kill(keeper_, SIGKILL);
            ::waitpid(keeper_, nullptr, 0);
        }
        std::filesystem::remove_all(directory_);
    }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    [[nodiscard]] cluster::place::Directories directories() const {
        return {.runtime = directory_, .state = directory_, .log = directory_};
    }
    /// Makes this program one that the keeper can start as a supervisor.
    void add_supervisor(const std::string& name) const {
        const auto self = sys::own_executable();
        REQUIRE(self);
        std::filesystem::create_symlink(*self, directory_ + "/" + name);
    }
    [[nodiscard]] std::int32_t keeper() const { return keeper_; }
    [[nodiscard]] std::string log() const {
        std::ifstream file(directory_ + "/keeper.log");
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    [[nodiscard]] std::size_t keeper_descriptors() const {
        std::size_t count = 0;
        const std::string path = "/proc/" + std::to_string(keeper_) + "/fd";
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            count += entry.exists() || true ? 1 : 0;
        }
        return count;
    }
    /// Children of the keeper, zombies included.
    [[nodiscard]] std::vector<std::int32_t> keeper_children() const {
        const std::string pid = std::to_string(keeper_);
        std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
        std::vector<std::int32_t> children;
        for (std::int32_t child = 0; file >> child;) children.push_back(child);
        return children;
    }

    /// The next supervisor that the keeper starts; hellos exchanged unless `greets` is false.
    [[nodiscard]] Supervisor accept(bool greets = true) {
        REQUIRE(wait_readable(listener_.get()));
        auto connection = sys::accept_connection(listener_.get());
        REQUIRE(connection);
        Supervisor supervisor;
        supervisor.pid = sys::peer_credentials(connection->get())->pid;
        REQUIRE(wait_readable(connection->get()));
        std::array<std::byte, 8> bytes;
        sys::Packet packet;
        REQUIRE(sys::receive_packet(connection->get(), bytes, packet));
        REQUIRE(packet.fd_count == 1);
        supervisor.link = std::move(packet.fds[0]);
        supervisor.connection = std::move(*connection);
        Answer hello = supervisor.expect(wire::Kind::hello);
        REQUIRE(hello.fds.size() == 1);
        supervisor.hello = hello.message.payload.hello;
        auto table = sys::map_shared(hello.fds[0].get(), sizeof(wire::Table), false);
        REQUIRE(table);
        supervisor.table = std::move(*table);
        auto again = sys::map_shared(hello.fds[0].get(), sizeof(wire::Table), false);
        REQUIRE(again);
        last_table_ = std::move(*again);
        supervisor.table_file = std::move(hello.fds[0]);
        if (greets) supervisor.greet();
        return supervisor;
    }

    /// The exit code of the keeper; none when it did not end in time or was killed.
    [[nodiscard]] std::optional<int> wait_keeper_exit() {
        int status = 0;
        const bool has_ended =
            wait_until([&] { return ::waitpid(keeper_, &status, WNOHANG) == keeper_; });
        if (!has_ended) return std::nullopt;
        keeper_ = 0;
        if (!WIFEXITED(status)) return std::nullopt;
        return WEXITSTATUS(status);
    }

private:
    void start_keeper(const std::string& shell_prefix) {
        const std::string log = directory_ + "/keeper.log";
        const std::string script = shell_prefix + "exec \"$0\" " + kKeeperArgument;
        std::array<std::string, 4> words{"sh", "-c", script, sys::own_executable().value_or("")};
        std::array<char*, 5> argv{};
        for (std::size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
        ::setenv(kRuntimeVariable, directory_.c_str(), 1);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_CREAT | O_WRONLY | O_APPEND,
                                           0600);
        const int error =
            ::posix_spawn(&keeper_, "/bin/sh", &actions, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::unsetenv(kRuntimeVariable);
        REQUIRE(error == 0);
    }

    std::string directory_;
    sys::UniqueFd listener_;
    sys::Mapping last_table_;
    pid_t keeper_ = 0;
};

}  // namespace keeper_test
