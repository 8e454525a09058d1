#include "tracer.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <unordered_map>

// Bounds of this program's own code, from the linker.
extern "C" const char __executable_start;
extern "C" const char etext;

namespace cluster::store::test {
namespace {

constexpr greg_t kTrapFlag = 0x100;
constexpr unsigned char kInt3 = 0xCC;

// Of the one traced call of this process.
TracePlan plan;
TraceBoard* board = nullptr;
std::uint64_t steps = 0;
std::uint64_t passages_left = 0;
pid_t own_pid = 0;
unsigned char* patched = nullptr;
unsigned char original = 0;
bool must_patch_again = false;

void send_self(int signal) {
    long result = 0;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(SYS_kill), "D"(static_cast<long>(own_pid)), "S"(static_cast<long>(signal))
                 : "rcx", "r11", "memory");
}

/// Acts if this step is a chosen one. False when no further one is.
bool act() {
    if (steps == plan.kill_at) {
        board->steps.store(steps, std::memory_order_relaxed);
        send_self(SIGKILL);
    }
    if (steps == plan.stop_at) {
        board->steps.store(steps, std::memory_order_relaxed);
        send_self(SIGSTOP);
    }
    const bool is_recording = plan.kill_at == 0 && plan.stop_at == 0;
    return is_recording || steps < std::max(plan.kill_at, plan.stop_at);
}

/// Reached the breakpoint, before the instruction that it hides.
void on_breakpoint(greg_t* registers) {
    *patched = original;
    registers[REG_RIP] -= 1;
    registers[REG_EFL] |= kTrapFlag;
    if (passages_left != 0) {
        --passages_left;
        must_patch_again = true;
        return;
    }
    patched = nullptr;
    steps = plan.begin.step;
    if (!act()) registers[REG_EFL] &= ~kTrapFlag;
}

void on_trap(int /*signal*/, siginfo_t* info, void* context) {
    greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    if (info->si_code == SI_KERNEL) return on_breakpoint(registers);
    if (must_patch_again) {
        *patched = kInt3;
        must_patch_again = false;
        registers[REG_EFL] &= ~kTrapFlag;
        return;
    }
    ++steps;
    if (steps < kMaxRecorded && plan.kill_at == 0 && plan.stop_at == 0) {
        board->recorded[steps] = static_cast<std::uintptr_t>(registers[REG_RIP]);
    }
    if (!act()) registers[REG_EFL] &= ~kTrapFlag;
}

void patch(std::uintptr_t address) {
    constexpr std::uintptr_t kPage = 4096;
    void* const page = reinterpret_cast<void*>(address & ~(kPage - 1));
    if (::mprotect(page, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) std::abort();
    patched = reinterpret_cast<unsigned char*>(address);
    original = *patched;
    *patched = kInt3;
}

inline void set_trap_flag() {
    asm volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
}
inline void clear_trap_flag() {
    asm volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
}

}  // namespace

__attribute__((noinline)) void run_traced(const TracePlan& given, TraceBoard& shared,
                                          void (*body)(void*), void* argument) {
    plan = given;
    board = &shared;
    steps = 0;
    passages_left = given.begin.passages;
    own_pid = ::getpid();
    struct sigaction action {};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGTRAP, &action, nullptr);
    if (given.begin.address != 0) {
        patch(given.begin.address);
        body(argument);
    } else {
        set_trap_flag();
        body(argument);
    }
    clear_trap_flag();
    if (patched != nullptr) *patched = original;
    shared.steps.store(steps, std::memory_order_relaxed);
    shared.is_finished.store(true, std::memory_order_relaxed);
}

Route::Route(std::span<const std::uintptr_t> recorded)
    : addresses_(recorded.begin(), recorded.end()), passages_(recorded.size(), kUseless) {
    const auto low = reinterpret_cast<std::uintptr_t>(&__executable_start);
    const auto high = reinterpret_cast<std::uintptr_t>(&etext);
    std::unordered_map<std::uintptr_t, std::uint32_t> seen;
    for (std::size_t i = 1; i < addresses_.size(); ++i) {
        const std::uintptr_t address = addresses_[i];
        std::uint32_t& count = seen[address];
        // A repeated string instruction is stepped through, but reached only once.
        if (address == addresses_[i - 1]) count = kUseless / 2;
        const bool is_own = address >= low && address < high;
        if (is_own && count < kUseless / 2) passages_[i] = count;
        ++count;
    }
}

Breakpoint Route::to(std::uint64_t step) const {
    constexpr std::uint64_t kNear = 40;
    constexpr std::uint64_t kWindow = 400;
    // The last steps are the tracer's own.
    if (step <= kNear || step + kNear >= addresses_.size()) return {};
    std::uint64_t best = 0;
    std::uint64_t best_cost = step;
    for (std::uint64_t i = step; i > 0 && step - i < kWindow; --i) {
        if (passages_[i] == kUseless) continue;
        const std::uint64_t cost = std::uint64_t{passages_[i]} * 2 + (step - i);
        if (cost < best_cost) {
            best = i;
            best_cost = cost;
        }
    }
    if (best == 0) return {};
    return {.address = addresses_[best], .passages = passages_[best], .step = best};
}

}  // namespace cluster::store::test
