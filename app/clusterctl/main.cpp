// clusterctl: the command line of the daemon. Everything it does is in commands/, one file per
// verb.
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "clusterctl/client.hpp"
#include "clusterctl/command_line.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/session.hpp"
#include "ctl/documents.hpp"

namespace {

using cluster::clusterctl::Failure;
using cluster::clusterctl::Invocation;

/// What went wrong, where, and what to do next: on stderr; with --json also as the document on
/// stdout.
int show(const Failure& failure, bool is_json) {
    if (is_json) {
        cluster::clusterctl::print(
            cluster::ctl::error_document(failure.code, failure.message, failure.diagnostics));
    }
    std::string text;
    for (const std::string& diagnostic : failure.diagnostics) {
        text += diagnostic;
        if (diagnostic.empty() || diagnostic.back() != '\n') text += '\n';
    }
    text += "clusterctl: " + failure.message + "\n";
    if (!failure.hint.empty()) {
        text += failure.hint;
        if (failure.hint.back() != '\n') text += '\n';
    }
    cluster::clusterctl::print_error(text);
    return failure.exit_code;
}

int run(const std::vector<std::string>& arguments) {
    bool is_json = false;
    try {
        const Invocation invocation = cluster::clusterctl::parse_command_line(arguments, is_json);
        if (!invocation.verb) {
            cluster::clusterctl::print(invocation.text);
            return cluster::clusterctl::kDone;
        }
        cluster::clusterctl::Session session(invocation.options);
        return invocation.verb->run(session);
    } catch (const Failure& failure) {
        return show(failure, is_json);
    } catch (const cluster::clusterctl::Interrupted&) {
        return cluster::clusterctl::kInterrupted;
    } catch (const std::exception& error) {
        return show(Failure(cluster::clusterctl::kFailed, "failed", error.what()), is_json);
    }
}

}  // namespace

int main(int argc, char** argv) {
    // `clusterctl logs -f | head` must end without a word, even where our parent ignored SIGPIPE.
    std::signal(SIGPIPE, SIG_DFL);
    const int exit_code = run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    if (cluster::clusterctl::finish_output()) return exit_code;
    std::perror("clusterctl: write to stdout");
    return exit_code == cluster::clusterctl::kDone ? cluster::clusterctl::kFailed : exit_code;
}
