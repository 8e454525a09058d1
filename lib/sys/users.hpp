// Users and groups by name, from the system's user database.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace cluster::sys {

struct User {
    std::string name;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string home;
    std::string shell;
};

/// A name, or a number written in digits. Errors: {lookup_user, ENOENT} when there is no such user.
[[nodiscard]] Result<User> find_user(const std::string& name);
[[nodiscard]] Result<User> find_user(std::uint32_t uid);
/// A name, or a number written in digits. Errors: {lookup_group, ENOENT}.
[[nodiscard]] Result<std::uint32_t> find_group(const std::string& name);
/// All groups of a user, `gid` included.
[[nodiscard]] std::vector<std::uint32_t> groups_of(const std::string& user, std::uint32_t gid);

}  // namespace cluster::sys
