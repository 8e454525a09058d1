#include "supervisor/plan_compiler.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "sys/file.hpp"
#include "sys/limits.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"
#include "wire/plan.hpp"

namespace cluster::supervisor {
namespace {

/// Who the worker runs as. `changes_user`: other than the daemon, so ids have to be set.
struct Identity {
    sys::User user;
    std::uint32_t gid = 0;
    bool changes_user = false;
};

Result<Identity> identity_of(const core::Launch& launch) {
    Identity identity;
    const std::uint32_t own = sys::current_uid();
    if (launch.user.empty()) {
        const char* home = std::getenv("HOME");
        auto user = sys::find_user(own);
        identity.user = user ? *user
                             : sys::User{.name = std::to_string(own),
                                         .uid = own,
                                         .gid = sys::current_gid(),
                                         .home = home == nullptr ? "/" : home,
                                         .shell = "/bin/sh"};
        identity.gid = sys::current_gid();
    } else {
        auto user = sys::find_user(launch.user);
        if (!user) return tl::unexpected(user.error());
        identity.user = std::move(*user);
        identity.gid = identity.user.gid;
        identity.changes_user = identity.user.uid != own;
    }
    if (!launch.group.empty()) {
        const auto gid = sys::find_group(launch.group);
        if (!gid) return tl::unexpected(gid.error());
        identity.changes_user = identity.changes_user || *gid != identity.gid;
        identity.gid = *gid;
    }
    return identity;
}

Status add_limits(wire::PlanBuilder& plan, const core::Launch& launch) {
    for (const core::ResourceLimit& limit : launch.limits) {
        const auto resource = sys::limit_resource(limit.name);
        if (!resource) return tl::unexpected(resource.error());
        plan.limit(*resource, limit.soft, limit.hard);
    }
    return {};
}

void add_descriptors(wire::PlanBuilder& plan) {
    plan.dup(static_cast<std::uint32_t>(AttachedFd::standard_input), 0);
    plan.dup(static_cast<std::uint32_t>(AttachedFd::standard_output), 1);
    plan.dup(static_cast<std::uint32_t>(AttachedFd::standard_error), 2);
}

void add_inheritance(wire::PlanBuilder& plan, const Inheritance& inheritance) {
    auto attached = static_cast<std::uint32_t>(AttachedFd::first_inherited);
    for (const Inheritance::Placed& placed : inheritance.descriptors()) {
        plan.dup(attached++, static_cast<std::uint32_t>(placed.number));
    }
}

void add_identity(wire::PlanBuilder& plan, const Identity& identity) {
    if (!identity.changes_user) return;
    plan.groups(sys::groups_of(identity.user.name, identity.gid));
    plan.set_gid(identity.gid);
    plan.set_uid(identity.user.uid);
}

Result<sys::UniqueFd> sealed_memory(std::span<const std::byte> bytes) {
    return sys::make_sealed_file("clusterd-plan",
                                 {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

Result<std::string> find_command(const std::string& command, const std::string& path,
                                 const std::string& cwd) {
    if (command.find('/') != std::string::npos) return command;
    bool was_found = false;
    std::string_view rest = path;
    while (!rest.empty()) {
        const std::size_t colon = rest.find(':');
        const std::string entry{rest.substr(0, colon)};
        rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
        if (entry.empty())
            continue;  // "the current directory", by mistake far more often than by intent
        std::string candidate = entry + "/" + command;
        if (entry.front() != '/') candidate.insert(0, cwd + "/");
        if (sys::is_executable(candidate)) return candidate;
        was_found = was_found || sys::file_info(candidate).has_value();
    }
    return fail(Op::lookup_command, was_found ? EACCES : ENOENT);
}

Result<sys::UniqueFd> open_standard_input(const std::string& path) {
    // Non-blocking while it is opened only: the worker gets what it expects.
    auto file = sys::open_file(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (!file) return fail(Op::standard_input, file.error().code);
    const auto info = sys::file_info(file->get());
    if (!info) return fail(Op::standard_input, info.error().code);
    const std::uint32_t type = info->mode & S_IFMT;
    if (type == S_IFDIR) return fail(Op::standard_input, EISDIR);
    const int mode = type == S_IFIFO ? O_RDWR : O_RDONLY;
    auto blocking = sys::reopen(file->get(), mode | O_NOCTTY);
    if (!blocking) return fail(Op::standard_input, blocking.error().code);
    return blocking;
}

Result<Variables> next_environment(const core::Launch& launch, const InstanceName& instance,
                                   const Variables& safe_base) {
    const auto identity = identity_of(launch);
    if (!identity) return tl::unexpected(identity.error());
    return worker_environment(launch, instance, safe_base, identity->user);
}

std::optional<OutputOwner> output_owner(const core::Launch& launch) {
    if (launch.user.empty() && launch.group.empty()) return std::nullopt;
    const auto identity = identity_of(launch);
    if (!identity || !identity->changes_user) return std::nullopt;
    return OutputOwner{.uid = identity->user.uid, .gid = identity->gid};
}

Result<sys::UniqueFd> compile_plan(const core::Launch& launch, const InstanceName& instance,
                                   const Inheritance& inheritance, const Variables& safe_base) {
    const auto identity = identity_of(launch);
    if (!identity) return tl::unexpected(identity.error());
    auto variables = worker_environment(launch, instance, safe_base, identity->user);
    if (!variables) return tl::unexpected(variables.error());
    for (auto& [key, value] : inheritance.variables()) (*variables)[key] = value;
    inheritance.add_fronts(*variables);
    const auto program = find_command(launch.command.front(), variables->at("PATH"), launch.cwd);
    if (!program) return tl::unexpected(program.error());

    wire::PlanBuilder plan;
    for (const std::string& argument : launch.command) plan.add_argument(argument);
    for (const auto& [name, value] : *variables) plan.add_environment(name, value);
    if (inheritance.has_sockets()) plan.add_environment_pid("LISTEN_PID");
    for (const std::string& name : inheritance.pid_variables()) plan.add_environment_pid(name);
    plan.session();
    if (auto limits = add_limits(plan, launch); !limits) return tl::unexpected(limits.error());
    if (launch.nice) plan.nice(*launch.nice);
    plan.umask(launch.umask);
    add_descriptors(plan);
    add_inheritance(plan, inheritance);
    add_identity(plan, *identity);
    plan.chdir(launch.cwd);  // as the worker's user, who may see directories that others do not, or
                             // the reverse
    plan.exec(*program);
    const auto bytes = plan.finish();
    if (!bytes) return tl::unexpected(bytes.error());
    return sealed_memory(*bytes);
}

Result<sys::UniqueFd> compile_job(const std::vector<std::string>& command, const std::string& path,
                                  bool has_inherited) {
    constexpr int kLowestPriority = 19;
    const auto program = find_command(command.front(), path, "/");
    if (!program) return tl::unexpected(program.error());
    wire::PlanBuilder plan;
    for (const std::string& argument : command) plan.add_argument(argument);
    plan.add_environment("PATH", path);
    plan.session();
    plan.nice(kLowestPriority);
    add_descriptors(plan);
    if (has_inherited) {
        plan.dup(static_cast<std::uint32_t>(AttachedFd::first_inherited), Inheritance::kFirst);
    }
    plan.chdir("/");
    plan.exec(*program);
    const auto bytes = plan.finish();
    if (!bytes) return tl::unexpected(bytes.error());
    return sealed_memory(*bytes);
}

}  // namespace cluster::supervisor
