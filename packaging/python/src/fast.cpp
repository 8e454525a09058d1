// clusterd._fast: the calls that are made most often, without what ctypes costs.
//
// The package works without this file; with it, adding to a counter takes little more than calling
// an empty function. It is built against Python's stable ABI, so that one binary serves Python 3.10
// and every later one, and links to nothing: the functions of libcluster are those that the package
// has loaded by ctypes, told by their addresses, so that there is one libcluster in a process.
#define Py_LIMITED_API 0x030A0000
#include <Python.h>
#include <cluster.h>
#include <structmember.h>

#include <cstddef>
#include <cstdint>

namespace {

struct Library {
    decltype(&cluster_counter_add) counter_add = nullptr;
    decltype(&cluster_counter_address) counter_address = nullptr;
    decltype(&cluster_counter_get) counter_get = nullptr;
    PyObject* fail = nullptr;       // (code): raises what it means for a counter
    PyObject* too_large = nullptr;  // (number): raises that it does not fit
};
Library library;

/// What both kinds of counters do most. The classes that a program sees are made of it in Python.
struct Counter {
    PyObject_HEAD
    cluster_counter* handle;
    std::int64_t* cell;  // of the atomic kind, where it may be written; mapped until the end
    char is_striped;
};

Counter* counter_of(PyObject* self) {
    return reinterpret_cast<Counter*>(self);
}

PyObject* fail(long code) {
    PyObject* result = PyObject_CallFunction(library.fail, "l", code);
    Py_XDECREF(result);
    return nullptr;
}

/// False, with an exception, for what is no integer of 64 bits.
bool read_amount(PyObject* number, std::int64_t& amount) {
    amount = PyLong_AsLongLong(number);
    if (amount != -1 || PyErr_Occurred() == nullptr) return true;
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        PyObject* result = PyObject_CallFunctionObjArgs(library.too_large, number, nullptr);
        Py_XDECREF(result);
    }
    return false;
}

/// add(amount=1)
PyObject* counter_add(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* names) {
    std::int64_t amount = 1;
    const Py_ssize_t named = names == nullptr ? 0 : PyTuple_Size(names);
    if (count + named > 1) {
        PyErr_SetString(PyExc_TypeError, "add() takes at most one argument");
        return nullptr;
    }
    if (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "amount") != 0) {
        PyErr_SetString(PyExc_TypeError, "the argument of add() is named amount");
        return nullptr;
    }
    if (count + named == 1 && !read_amount(arguments[0], amount)) return nullptr;
    const Counter* counter = counter_of(self);
    if (counter->cell != nullptr) [[likely]] {
        return PyLong_FromLongLong(__atomic_add_fetch(counter->cell, amount, __ATOMIC_SEQ_CST));
    }
    std::int64_t sum = 0;
    const int code =
        library.counter_add(counter->handle, amount, counter->is_striped != 0 ? nullptr : &sum);
    if (code != 0) [[unlikely]] {
        return fail(code);
    }
    if (counter->is_striped != 0) Py_RETURN_NONE;
    return PyLong_FromLongLong(sum);
}

PyObject* counter_get(PyObject* self, PyObject* /*unused*/) {
    return PyLong_FromLongLong(library.counter_get(counter_of(self)->handle));
}

/// (handle, is_striped)
int counter_init(PyObject* self, PyObject* arguments, PyObject* /*names*/) {
    unsigned long long handle = 0;
    int is_striped = 0;
    if (PyArg_ParseTuple(arguments, "Kp", &handle, &is_striped) == 0) return -1;
    if (handle == 0) {
        PyErr_SetString(PyExc_ValueError, "no handle");
        return -1;
    }
    Counter* counter = counter_of(self);
    counter->handle = reinterpret_cast<cluster_counter*>(handle);
    counter->is_striped = is_striped != 0 ? 1 : 0;
    // Not in a store that is open for reading only.
    const bool is_writable =
        is_striped == 0 && library.counter_add(counter->handle, 0, nullptr) == 0;
    counter->cell = is_writable ? library.counter_address(counter->handle) : nullptr;
    return 0;
}

/// (addresses of cluster_counter_add, cluster_counter_address, cluster_counter_get, fail, too_large)
PyObject* bind(PyObject* /*module*/, PyObject* arguments) {
    unsigned long long add = 0;
    unsigned long long address = 0;
    unsigned long long get = 0;
    PyObject* failing = nullptr;
    PyObject* too_large = nullptr;
    const int is_parsed =
        PyArg_ParseTuple(arguments, "KKKOO", &add, &address, &get, &failing, &too_large);
    if (is_parsed == 0) return nullptr;
    library.counter_add = reinterpret_cast<decltype(library.counter_add)>(add);
    library.counter_address = reinterpret_cast<decltype(library.counter_address)>(address);
    library.counter_get = reinterpret_cast<decltype(library.counter_get)>(get);
    Py_INCREF(failing);
    Py_INCREF(too_large);
    Py_XDECREF(library.fail);
    Py_XDECREF(library.too_large);
    library.fail = failing;
    library.too_large = too_large;
    Py_RETURN_NONE;
}

PyCFunction as_function(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t, PyObject*)) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef counter_methods[] = {
    {"add", as_function(counter_add), METH_FASTCALL | METH_KEYWORDS, "Adds to it."},
    {"get", counter_get, METH_NOARGS, "What it is now."},
    {nullptr, nullptr, 0, nullptr}};

PyMemberDef counter_members[] = {
    {"_handle", T_ULONGLONG, offsetof(Counter, handle), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

void* slot_of(int (*function)(PyObject*, PyObject*, PyObject*)) {
    return reinterpret_cast<void*>(function);
}

PyType_Slot counter_slots[] = {{Py_tp_init, slot_of(counter_init)},
                               {Py_tp_methods, counter_methods},
                               {Py_tp_members, counter_members},
                               {0, nullptr}};
PyType_Spec counter_spec = {"clusterd._fast.Counter", sizeof(Counter), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, counter_slots};

PyMethodDef module_methods[] = {{"bind", bind, METH_VARARGS, "Says where libcluster is."},
                                {nullptr, nullptr, 0, nullptr}};
PyModuleDef module_definition = {PyModuleDef_HEAD_INIT, "clusterd._fast", nullptr, -1,
                                 module_methods,        nullptr,          nullptr, nullptr,
                                 nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__fast() {
    PyObject* module = PyModule_Create(&module_definition);
    if (module == nullptr) return nullptr;
    PyObject* type = PyType_FromSpec(&counter_spec);
    if (type == nullptr || PyModule_AddObject(module, "Counter", type) != 0) {
        Py_XDECREF(type);
        Py_DECREF(module);
        return nullptr;
    }
    return module;
}
