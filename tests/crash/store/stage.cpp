#include "stage.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cluster::store::test {
namespace {

/// By the clock, since a hang may be a wait; generous, since the machine may have other work.
constexpr unsigned kHangSeconds = 60;

SegmentOptions stage_options() {
    SegmentOptions options{.counters = 8, .participants = 3, .striped = 2};
    options.bytes = minimum_bytes(options);
    return options;
}

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "crash test: %s: %s\n", what, std::strerror(errno));
    std::abort();
}

/// A child that dies with its parent and does not hang.
pid_t start_process() {
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) give_up("fork");
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::alarm(kHangSeconds);
    }
    return pid;
}

void play_steps(void* argument) {
    auto& [scenario, world] = *static_cast<std::pair<const Scenario*, World*>*>(argument);
    for (const Step& step : scenario->steps) step(*world);
}

void play_one(void* argument) {
    auto& [step, world] = *static_cast<std::pair<const Step*, World*>*>(argument);
    (*step)(*world);
}

}  // namespace

std::string value_of(char letter, std::size_t size) {
    return std::string(size, letter);
}

std::string contents(World& world) {
    std::string text;
    std::string buffer(8192, '\0');
    for (const std::string& key : world.keys) {
        const auto value = world.table.get(
            bytes(key), std::as_writable_bytes(std::span{buffer.data(), buffer.size()}));
        text += key + "=";
        if (!value) {
            text += value.error().code == ENOENT ? "none" : std::to_string(value.error().code);
        } else {
            const std::string_view got{buffer.data(), std::min<std::size_t>(value->size, 8192)};
            const bool is_whole = got.find_first_not_of(got.substr(0, 1)) == got.npos;
            const bool is_number = got.find_first_not_of("0123456789") == got.npos;
            text += is_number  ? std::string(got)
                    : is_whole ? std::to_string(got.size()) + got[0]
                               : "torn " + std::string(got);
        }
        text += " ";
    }
    u32 at = 0;
    std::vector<std::string> counters;
    while (const auto item = world.counters.next(&at)) {
        counters.push_back(std::string(item->name_view()) + "=" + std::to_string(item->value));
    }
    std::sort(counters.begin(), counters.end());
    for (const std::string& counter : counters) text += counter + " ";
    return text;
}

void forget_hints(Segment& segment) {
    for (u32 i = 0; i < kClasses; ++i) {
        ClassHints& hints = segment.hints(i);
        store_relaxed(&hints.cursor, 0);
        store_relaxed(&hints.take, load_relaxed(&hints.put));
    }
}

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

Stage::Stage(const Scenario& scenario) : scenario_(scenario) {
    auto file = create(stage_options());
    if (!file) give_up("create");
    file_ = std::move(*file);
    auto segment = Segment::attach(file_.get(), Access::read_write);
    if (!segment) give_up("attach");
    segment_.emplace(std::move(*segment));
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) give_up("mmap");
    shared_ = new (memory) Shared{};
    {
        World world{*segment_};
        world.join();
        scenario_.setup(world);
        keys_ = world.keys;
        names_ = world.names;
    }
    save_image();
    learn_states();
}

Stage::~Stage() {
    ::munmap(shared_, sizeof(Shared));
}

World Stage::new_world() {
    World world{*segment_};
    world.keys = keys_;
    world.names = names_;
    world.attempt = &shared_->attempt;
    return world;
}

void Stage::save_image() {
    const u64 size = segment_->geometry().bytes;
    std::string page(kPageBytes, '\0');
    for (u64 offset = 0; offset < size; offset += kPageBytes) {
        const auto* from = reinterpret_cast<const char*>(segment_->word_at(offset));
        page.assign(from, std::min<u64>(kPageBytes, size - offset));
        if (page.find_first_not_of('\0') != page.npos) image_.emplace_back(offset, page);
    }
}

void Stage::reset() {
    const auto size = static_cast<off_t>(segment_->geometry().bytes);
    if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size) != 0) {
        give_up("fallocate");
    }
    for (const auto& [offset, page] : image_) {
        std::memcpy(segment_->word_at(offset), page.data(), page.size());
    }
    shared_->board.is_finished = false;
    shared_->board.steps = 0;
    shared_->attempt = {};
    shared_->message[0] = '\0';
}

/// Plays once undisturbed, step by step, and once traced for the length.
void Stage::learn_states() {
    reset();
    const std::string failed = in_process([this](World& world) -> std::string {
        if (!scenario_.joins_itself) world.join();
        if (scenario_.warm) scenario_.warm(world);
        std::string all = contents(world);
        for (const Step& step : scenario_.steps) {
            step(world);
            all += "\n" + contents(world);
        }
        return all + "\n" + world.complaint;
    });
    std::size_t from = 0;
    for (std::size_t i = 0; i <= scenario_.steps.size(); ++i) {
        const std::size_t end = failed.find('\n', from);
        states_.push_back(failed.substr(from, end - from));
        from = end == failed.npos ? failed.size() : end + 1;
    }
    reset();
    const int code = wait_for(play({}));
    if (code != 0)
        std::fprintf(stderr, "%s: undisturbed play ended with %d\n", scenario_.name, code);
    length_ = board().steps;
    route_.emplace(std::span{board().recorded, std::min<std::size_t>(length_ + 1, kMaxRecorded)});
}

pid_t Stage::play(const TracePlan& given) {
    TracePlan plan = given;
    const u64 first = plan.stop_at != 0 ? plan.stop_at : plan.kill_at;
    if (route_ && first != 0 && plan.begin.address == 0) plan.begin = route_->to(first);
    const pid_t pid = start_process();
    if (pid != 0) return pid;
    {
        World world = new_world();
        if (!scenario_.joins_itself) world.join();
        if (scenario_.warm) scenario_.warm(world);
        std::pair<const Scenario*, World*> argument{&scenario_, &world};
        run_traced(plan, shared_->board, play_steps, &argument);
        std::snprintf(shared_->message, sizeof shared_->message, "%s", world.complaint.c_str());
    }
    ::_exit(shared_->message[0] == '\0' ? 0 : 1);
}

pid_t Stage::trace_process(const TracePlan& plan, const Step& before, const Step& traced) {
    shared_->board.is_finished = false;
    shared_->board.steps = 0;
    const pid_t pid = start_process();
    if (pid != 0) return pid;
    {
        World world = new_world();
        before(world);
        std::pair<const Step*, World*> argument{&traced, &world};
        run_traced(plan, shared_->board, play_one, &argument);
    }
    ::_exit(0);
}

std::string Stage::in_process(const std::function<std::string(World&)>& body) {
    shared_->message[0] = '\0';
    const pid_t pid = start_process();
    if (pid == 0) {
        {
            World world = new_world();
            const std::string message = body(world);
            std::snprintf(shared_->message, sizeof shared_->message, "%s", message.c_str());
        }
        ::_exit(0);
    }
    const int code = wait_for(pid);
    if (code == 1000 + SIGALRM) return "somebody hangs";
    if (code != 0) return "somebody crashed: " + std::to_string(code);
    return shared_->message;
}

}  // namespace cluster::store::test
