//! A valid component of a world that is none of ours: refused when it is
//! loaded.

#![allow(unsafe_code, reason = "the generated glue crosses the sandbox boundary")]

wit_bindgen::generate!({
    inline: r"
        package guest:wrong-world;
        world guest {
            export hello: func() -> string;
        }
    ",
});

struct WrongWorld;

impl Guest for WrongWorld {
    fn hello() -> String {
        "hello".into()
    }
}

export!(WrongWorld);
