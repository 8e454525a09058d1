// From one keeper to the next. An upgrade is an exec in our own place: the children stay ours, and
// their ends are reaped as ever. The successor of a dead keeper has none of them as its children,
// and learns of their ends from their pidfds.
//
// Until the successor has everything, nothing is lost if it fails: the supervisor waits at the link
// or at a socket of its own (the witness), and starts another keeper when that closes in silence.
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "keeper/keeper.hpp"
#include "keeper/say.hpp"
#include "keeper/start.hpp"
#include "sys/clock.hpp"
#include "sys/failpoint.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"
#include "sys/socket.hpp"
#include "sys/succession.hpp"
#include "wire/estate.hpp"

namespace cluster::keeper {

namespace {

/// Nobody tells of the end of a group whose orphans do not come to us.
constexpr Duration kGroupInterval = std::chrono::milliseconds(500);
/// The predecessor's supervisor waits for nothing but our word.
constexpr Duration kSupervisorGrace = std::chrono::seconds(1);
constexpr std::size_t kMaxPathBytes = 4096;

ChildDefaults defaults_of(const wire::TableHeader& header, const ChildDefaults& own) {
    // A predecessor that did not write them down: what we were given, then.
    if (header.default_hard_descriptors == 0) return own;
    ChildDefaults defaults;
    defaults.descriptors = {.soft = header.default_soft_descriptors,
                            .hard = header.default_hard_descriptors};
    if (header.has_default_oom_score != 0) defaults.oom_score = header.default_oom_score;
    return defaults;
}

/// The text of a sealed memfd, up to its first zero byte. Errors: {estate, EPERM} it can still be
/// changed; {estate, EINVAL} it is no absolute path; those of reading.
Result<std::string> read_path(int file) {
    if (!sys::is_sealed(file)) return fail(Op::estate, EPERM);
    std::string text(kMaxPathBytes, '\0');
    const auto count = sys::read_at(file, std::as_writable_bytes(std::span(text)), 0);
    if (!count) return tl::unexpected(count.error());
    text.resize(::strnlen(text.data(), *count));
    if (text.empty() || text.front() != '/' || text.size() == kMaxPathBytes) {
        return fail(Op::estate, EINVAL);
    }
    return text;
}

}  // namespace

Result<std::unique_ptr<Keeper>> Keeper::succeed(Options options, Process process, Estate estate) {
    process.defaults = defaults_of(estate.old_table().header, process.defaults);
    auto keeper = make(std::move(options), std::move(process));
    if (!keeper) return keeper;
    if (auto inherited = (*keeper)->inherit(std::move(estate), sys::monotonic_now()); !inherited) {
        return tl::unexpected(inherited.error());
    }
    return keeper;
}

Status Keeper::inherit(Estate estate, Instant now) {
    const wire::TableHeader& old = estate.old_table().header;
    wire::TableHeader& header = table_.header;
    header.keeper_started_ns = old.keeper_started_ns;  // the daemon is as old as it was
    header.supervisor_starts = old.supervisor_starts;
    header.supervisor_started_ns = old.supervisor_started_ns;
    header.supervisor_pid = old.supervisor_pid;
    header.is_terminating = old.is_terminating;
    header.successions = old.successions + 1;
    is_terminating_ = old.is_terminating != 0;
    for (Estate::Item& item : estate.items) {
        if (item.key.kind == wire::HeldKind::process) continue;
        if (auto held = custody_.hold(item.key, std::move(item.fd)); !held) return held;
    }
    runs_.resume(estate, adopted_, now);
    adopt_supervisor(now);
    // From here on it is ours.
    sys::pass(Failpoint::estate_taken);
    if (!write_pid_file(options_.directories)) say("the pid file still names our predecessor");
    const wire::Message word = wire::make_message(wire::Kind::succeeded);
    if (!sys::send_packet(estate.witness.get(), std::as_bytes(std::span(&word, 1)), {})) {
        supervisor_.kill();  // it does not know that it is to end
    }
    say("took over %u processes (succession %u)", runs_.live_count(), header.successions);
    // Deaths that were noticed by nobody: the signal came before there was a table for them.
    reap(now);
    return {};
}

/// It ends by itself as soon as it hears of us.
void Keeper::adopt_supervisor(Instant now) {
    const std::int32_t pid = table_.header.supervisor_pid;
    if (pid <= 0) return;
    auto pidfd = sys::open_pidfd(pid);
    if (!pidfd) {
        table_.header.supervisor_pid = 0;
        return;
    }
    const bool is_child = sys::is_own_child(pidfd->get());
    supervisor_.adopt(pid, std::move(*pidfd));
    guardian_.on_started(now);
    supervisor_due_ = now + kSupervisorGrace;
    if (is_child || adopted_.watch(pid, supervisor_.pidfd(), Duration::zero())) return;
    supervisor_.kill();
    supervisor_.note_died();
    guardian_.on_died(now);
}

void Keeper::reap_adopted(Instant now) {
    for (const sys::Reaped& exit : adopted_.take_ended(now)) {
        if (exit.pid == supervisor_.pid()) {
            on_supervisor_died(exit, now);
        } else {
            static_cast<void>(runs_.on_reaped(exit, now));
        }
    }
}

void Keeper::check_foreign_groups(Instant now) {
    if (groups_due_ && now >= *groups_due_) {
        groups_due_.reset();
        runs_.check_groups();
    }
    if (!groups_due_ && runs_.has_foreign_groups()) groups_due_ = now + kGroupInterval;
}

/// Comes back only when there is no upgrade.
Status Keeper::on_upgrade(sys::Packet& packet) {
    if (packet.fd_count != 1) return fail(Op::estate, EINVAL);
    if (finishing_ || last_stop_ || is_terminating_) return fail(Op::estate, EBUSY);
    const auto path = read_path(packet.fds[0].get());
    if (!path) return tl::unexpected(path.error());
    wire::EstateBuilder estate;
    const auto file = write_estate(estate);
    if (!file) return tl::unexpected(file.error());
    std::vector<int> left = estate.descriptors();
    left.push_back(file->get());
    std::vector<std::string> arguments{"clusterd", "--estate-fd=" + std::to_string(file->get())};
    arguments.insert(arguments.end(), options_.supervisor.arguments.begin(),
                     options_.supervisor.arguments.end());
    say("upgrade: going on as %s", path->c_str());
    Status done;
    for (const int fd : left) {
        if (done) done = sys::set_inherited(fd, true);
    }
    sys::pass(Failpoint::estate_left);
    if (done) done = tl::unexpected(sys::replace_process(*path, arguments));
    for (const int fd : left) static_cast<void>(sys::set_inherited(fd, false));
    say("upgrade: %s: %s; going on as before", path->c_str(), std::strerror(done.error().code));
    return done;
}

/// Adds what goes over. The link is the witness: whoever asked for the upgrade waits there.
Result<sys::UniqueFd> Keeper::write_estate(wire::EstateBuilder& estate) const {
    for (std::uint32_t i = 0; i < table_.header.held_used; ++i) {
        const wire::HeldRecord& record = table_.held[i];
        const wire::HeldKey key{.kind = static_cast<wire::HeldKind>(record.kind),
                                .index = record.index,
                                .slot = record.slot,
                                .generation = record.generation};
        if (record.kind != 0) estate.add(key, custody_.find(key));
    }
    for (std::uint32_t i = 0; i < table_.header.slots_used; ++i) {
        const Run run{Slot{i}, Generation{table_.slots[i].generation}};
        const int pidfd = runs_.pidfd(run);
        if (pidfd < 0) continue;
        estate.add({.kind = wire::HeldKind::process,
                    .index = 0,
                    .slot = i,
                    .generation = run.generation.value},
                   pidfd);
    }
    const auto& bytes = estate.finish(table_file_.get(), link_->descriptor());
    return sys::make_sealed_file("clusterd-estate", bytes);
}

}  // namespace cluster::keeper
