// Descriptors that workers leave with the daemon (FDSTORE=1 of sd_notify(3)): they outlive the run,
// and the next one of the instance gets them behind its listening sockets.
//
// They belong to the instance, not to the run: kept through restarts, reloads and crashes, dropped
// when the instance is at rest and nobody means to bring it back. The keeper holds them, each with a
// memfd that says whose it is; what is stored twice, by a run or by a successor of the supervisor
// that reads a datagram again, is one. One that hangs up is dropped, unless it was stored with
// FDPOLL=0. A stored connection does not end when the worker closes its own copy of it.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "core/fleet.hpp"
#include "ev/loop.hpp"
#include "supervisor/inheritance.hpp"
#include "supervisor/keeper_link.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

class StoredFds {
public:
    /// A numbered place of a worker, whichever slots stand for it.
    struct Owner {
        std::string worker;
        std::uint32_t number = 0;

        friend bool operator==(const Owner&, const Owner&) = default;
    };

    StoredFds(ev::Loop& loop, KeeperLink& keeper) : loop_(loop), keeper_(keeper) {}

    /// Keeps them under one name. Returns how many were not kept, because the owner has `most`
    /// already or the keeper cannot take more.
    std::size_t add(const Owner& owner, std::uint32_t most, const std::string& name,
                    bool is_polled, std::span<sys::UniqueFd> fds);
    /// All of that name.
    void remove(const Owner& owner, std::string_view name);
    void hand_over(const Owner& owner, Inheritance& inheritance) const;

    /// What a predecessor kept.
    void resume(std::vector<HeldDescriptor>& held);
    /// Drops what belongs to instances that are at rest or gone.
    void follow(const core::Fleet& fleet);

    /// In the order in which they were stored.
    [[nodiscard]] std::vector<std::string> names(const Owner& owner) const;

private:
    struct Entry {
        std::uint64_t id = 0;
        Owner owner;
        std::string name;
        bool is_polled = true;
        sys::UniqueFd fd;
        ev::Watch watch;
    };
    using Entries = std::list<Entry>;

    [[nodiscard]] bool has(const Owner& owner, int fd) const;
    [[nodiscard]] Status hold(const Entry& entry);
    void watch(Entry& entry);
    Entries::iterator drop(Entries::iterator entry);

    ev::Loop& loop_;
    KeeperLink& keeper_;
    Entries entries_;
    std::uint64_t last_id_ = 0;
};

}  // namespace cluster::supervisor
