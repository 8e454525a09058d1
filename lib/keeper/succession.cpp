// From one keeper to the next. An upgrade is an exec in our own place: the children stay ours, and
// their ends are reaped as ever. The successor of a dead keeper has none of them as its children,
// and learns of their ends from their pidfds.
//
// Until the successor has a supervisor that has everything in hand, nothing is lost if it fails:
// the supervisor before waits at the link or at a socket of its own (the witness), and starts
// another keeper when that closes in silence, or stays silent for long.
#include <cerrno>
#include <csignal>
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
/// It waits for nothing but our word.
constexpr Duration kPredecessorGrace = std::chrono::seconds(1);
/// Among the names of adopted processes, which are slots.
constexpr std::uint32_t kPredecessorName = wire::kNoSlot;
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
    header.is_terminating = old.is_terminating;
    header.owed_notices = old.owed_notices;
    header.successions = old.successions + 1;
    is_terminating_ = old.is_terminating != 0;
    for (Estate::Item& item : estate.items) {
        if (item.key.kind == wire::HeldKind::process) continue;
        if (auto held = custody_.hold(item.key, std::move(item.fd)); !held) return held;
    }
    if (auto resumed = runs_.resume(estate, adopted_, now); !resumed) return resumed;
    if (auto watched = watch_predecessor(old); !watched) return watched;
    witness_ = std::move(estate.witness);
    sys::pass(Failpoint::estate_taken);
    // Whoever connects sees by it who the daemon is (SO_PEERCRED), as long as it listens anew.
    const int control = custody_.find({.kind = wire::HeldKind::control});
    if (control >= 0) static_cast<void>(sys::listen_again(control, kControlBacklog));
    if (!write_pid_file(options_.directories)) say("the pid file still names our predecessor");
    say("took over %u processes (succession %u)", runs_.live_count(), header.successions);
    // Deaths that nobody has heard of: the signal came before there was a table for them.
    reap(now);
    return {};
}

/// The supervisor of the keeper before us does nothing any more but wait for our word. Only its pid
/// says who it is, and the time at which it was started.
Status Keeper::watch_predecessor(const wire::TableHeader& old) {
    const std::int32_t pid = old.supervisor_pid;
    if (pid <= 0 || old.supervisor_start_ticks == 0) return {};
    auto pidfd = sys::open_pidfd(pid);
    if (!pidfd && pidfd.error().code != ESRCH) return tl::unexpected(pidfd.error());
    const bool is_it = sys::process_start_ticks(pid).value_or(0) == old.supervisor_start_ticks;
    if (!pidfd || !is_it) return {};
    const int handle = pidfd->get();
    const bool is_child = sys::is_own_child(handle);
    predecessor_ = Predecessor{
        .pid = pid, .pidfd = std::move(*pidfd), .is_child = is_child, .due = {}};
    if (is_child) return {};
    return adopted_.watch(kPredecessorName, pid, handle, Duration::zero());
}

/// A supervisor of ours has everything in hand: the one before it may go. Not sooner, since if we
/// died it could not start another keeper yet; and not later, since then both would.
void Keeper::dismiss_predecessor(Instant now) {
    if (!witness_.is_open()) return;
    const wire::Message word = wire::make_message(wire::Kind::succeeded);
    static_cast<void>(sys::send_packet(witness_.get(), std::as_bytes(std::span(&word, 1)), {}));
    witness_.reset();
    if (predecessor_) predecessor_->due = now + kPredecessorGrace;
}

void Keeper::end_predecessor(Instant now) {
    if (!predecessor_ || !predecessor_->due || now < *predecessor_->due) return;
    predecessor_->due.reset();
    static_cast<void>(sys::signal_pidfd(predecessor_->pidfd.get(), SIGKILL));
}

void Keeper::reap_adopted(Instant now) {
    for (const Adopted::Ended& ended : adopted_.take_ended(now)) {
        if (ended.name == kPredecessorName) {
            predecessor_.reset();
        } else {
            runs_.on_ended(Slot{ended.name}, ended.exit, now);
        }
    }
}

void Keeper::check_foreign_groups(Instant now) {
    if (groups_due_ && now >= *groups_due_) {
        groups_due_.reset();
        runs_.check_groups();
    }
    if (groups_due_ || !runs_.has_foreign_groups()) return;
    // From the end of the look on, which may have taken a while.
    groups_due_ = sys::monotonic_now() + kGroupInterval;
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
    return sys::make_sealed_file("clusterd-estate",
                                 estate.finish(table_file_.get(), link_->descriptor()));
}

}  // namespace cluster::keeper
