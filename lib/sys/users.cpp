#include "sys/users.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

namespace cluster::sys {
namespace {

/// Some directories answer with long lines; glibc says ERANGE until the buffer is large enough.
constexpr std::size_t kFirstBuffer = 4096;
constexpr std::size_t kLargestBuffer = 1U << 20U;

std::optional<std::uint32_t> number_of(const std::string& text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// `lookup(entry, buffer, size, &found)` is one of the getpw*_r functions, bound to its key.
template <class Lookup>
Result<User> look_up_user(Lookup lookup) {
    passwd entry{};
    passwd* found = nullptr;
    std::string buffer(kFirstBuffer, '\0');
    int error = lookup(&entry, buffer.data(), buffer.size(), &found);
    while (error == ERANGE && buffer.size() < kLargestBuffer) {
        buffer.resize(buffer.size() * 4);
        error = lookup(&entry, buffer.data(), buffer.size(), &found);
    }
    if (found == nullptr) return fail(Op::lookup_user, error == 0 ? ENOENT : error);
    return User{.name = found->pw_name,
                .uid = found->pw_uid,
                .gid = found->pw_gid,
                .home = found->pw_dir,
                .shell = found->pw_shell};
}

}  // namespace

Result<User> find_user(const std::string& name) {
    auto found = look_up_user([&](passwd* entry, char* buffer, std::size_t size, passwd** result) {
        return ::getpwnam_r(name.c_str(), entry, buffer, size, result);
    });
    if (found) return found;
    const auto uid = number_of(name);
    if (!uid) return found;
    if (auto by_number = find_user(*uid)) return by_number;
    // A number without an entry is a user all the same; its group is assumed to have the same
    // number.
    return User{.name = name, .uid = *uid, .gid = *uid, .home = "/", .shell = "/bin/sh"};
}

Result<User> find_user(std::uint32_t uid) {
    return look_up_user([&](passwd* entry, char* buffer, std::size_t size, passwd** result) {
        return ::getpwuid_r(uid, entry, buffer, size, result);
    });
}

Result<std::uint32_t> find_group(const std::string& name) {
    group entry{};
    group* found = nullptr;
    std::string buffer(kFirstBuffer, '\0');
    int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    while (error == ERANGE && buffer.size() < kLargestBuffer) {
        buffer.resize(buffer.size() * 4);
        error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    }
    if (found != nullptr) return found->gr_gid;
    if (const auto gid = number_of(name)) return *gid;
    return fail(Op::lookup_group, error == 0 ? ENOENT : error);
}

std::vector<std::uint32_t> groups_of(const std::string& user, std::uint32_t gid) {
    int count = 32;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    if (::getgrouplist(user.c_str(), gid, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(std::max(count, 1)));
        if (::getgrouplist(user.c_str(), gid, groups.data(), &count) < 0) return {gid};
    }
    return {groups.begin(), groups.begin() + count};
}

}  // namespace cluster::sys
