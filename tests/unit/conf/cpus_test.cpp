#include "conf/cpus.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <thread>

namespace cluster::conf {
namespace {

using Files = std::map<std::string, std::string>;

std::optional<double> quota_in(const Files& files) {
    return cgroup_cpu_quota([&](const std::string& path) -> std::optional<std::string> {
        const auto file = files.find(path);
        if (file == files.end()) return std::nullopt;
        return file->second;
    });
}

constexpr const char* kV2Mount = "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";
constexpr const char* kV1Mount =
    "30 23 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "32 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

TEST_CASE("conf/cpus: without a cgroup there is no quota") {
    CHECK_FALSE(quota_in({}));
    CHECK_FALSE(quota_in({{"/proc/self/cgroup", "0::/\n"}}));
    CHECK_FALSE(quota_in({{"/proc/self/cgroup", "garbage\n:\n::\n"},
                          {"/proc/self/mountinfo", "more garbage\n- - - -\n"}}));
}

TEST_CASE("conf/cpus: cgroup v2 gives quota over period, max is none") {
    Files files{{"/proc/self/cgroup", "0::/site/api\n"}, {"/proc/self/mountinfo", kV2Mount}};
    CHECK_FALSE(quota_in(files));
    files["/sys/fs/cgroup/site/api/cpu.max"] = "max 100000\n";
    CHECK_FALSE(quota_in(files));
    files["/sys/fs/cgroup/site/api/cpu.max"] = "150000 100000\n";
    CHECK(quota_in(files) == 1.5);
}

TEST_CASE("conf/cpus: a cgroup further up may be tighter") {
    CHECK(quota_in({{"/proc/self/cgroup", "0::/site/api\n"},
                    {"/proc/self/mountinfo", kV2Mount},
                    {"/sys/fs/cgroup/site/api/cpu.max", "400000 100000\n"},
                    {"/sys/fs/cgroup/site/cpu.max", "50000 100000\n"},
                    {"/sys/fs/cgroup/cpu.max", "300000 100000\n"}}) == 0.5);
}

TEST_CASE("conf/cpus: a mount that shows a part of the tree is read below its root") {
    const std::string mount = "31 23 0:28 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    CHECK(quota_in({{"/proc/self/cgroup", "0::/docker/abc/x\n"},
                    {"/proc/self/mountinfo", mount},
                    {"/sys/fs/cgroup/x/cpu.max", "200000 100000\n"}}) == 2.0);
    CHECK(quota_in({{"/proc/self/cgroup", "0::/../other\n"},
                    {"/proc/self/mountinfo", kV2Mount},
                    {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}) == 1.0);
}

TEST_CASE("conf/cpus: cgroup v1 finds the cpu controller among the others") {
    Files files{{"/proc/self/cgroup", "5:cpuset:/other\n4:cpu,cpuacct:/site\n0::/\n"},
                {"/proc/self/mountinfo", kV1Mount},
                {"/sys/fs/cgroup/cpu,cpuacct/site/cpu.cfs_quota_us", "-1\n"},
                {"/sys/fs/cgroup/cpu,cpuacct/site/cpu.cfs_period_us", "100000\n"}};
    CHECK_FALSE(quota_in(files));
    files["/sys/fs/cgroup/cpu,cpuacct/site/cpu.cfs_quota_us"] = "250000\n";
    CHECK(quota_in(files) == 2.5);
}

TEST_CASE("conf/cpus: on this machine there is at least one and not more than there are") {
    CHECK(usable_cpus() >= 1);
    CHECK(usable_cpus() <= std::thread::hardware_concurrency());
}

}  // namespace
}  // namespace cluster::conf
