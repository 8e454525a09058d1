// bench_store [rounds] [counters|table|TEXT]: nanoseconds of the store's operations beside what one
// process can do alone. TEXT chooses the mixes of the table whose name contains it.
#include <cstdlib>
#include <cstring>

#include "measure.hpp"

int main(int count, char** arguments) {
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 7;
    const char* wanted = count > 2 ? arguments[2] : "";
    const bool is_table = std::strcmp(wanted, "table") == 0;
    if (*wanted == '\0' || std::strcmp(wanted, "counters") == 0) {
        cluster::store::bench::run_counter_rows(rounds);
        cluster::store::bench::run_abi_rows(rounds);
    }
    cluster::store::bench::run_table_rows(rounds, is_table ? "" : wanted);
    return 0;
}
