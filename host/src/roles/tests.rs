use super::*;

fn peer(uid: u32, gids: &[u32]) -> Peer {
    Peer { uid, gids: gids.to_vec() }
}

/// Service 900, operators: 1002 and group 951, agents: 1001 and group 950.
fn roles() -> Roles {
    Roles {
        service: 900,
        operator_users: vec![1002],
        operator_groups: vec![951],
        agent_users: vec![1001],
        agent_groups: vec![950],
        agents: vec![peer(1001, &[1001]), peer(1003, &[950])],
        accept_advisory: false,
    }
}

#[test]
fn different_users_are_strict() {
    assert_eq!(roles().separation(), Separation::Strict);
    let one = Roles { service: 900, agents: vec![peer(1001, &[])], ..Roles::default() };
    assert_eq!(one.separation(), Separation::Strict);
    // The service is in the agent's group, to share files with it.
    let shared = Roles {
        agent_groups: vec![950],
        agent_users: Vec::new(),
        agents: vec![peer(900, &[900, 950]), peer(1001, &[950])],
        ..roles()
    };
    assert_eq!(shared.separation(), Separation::Strict);
}

#[test]
fn one_user_in_two_roles_is_advisory_and_says_which() {
    let with = |agent: Peer| Roles { agents: vec![peer(1001, &[]), agent], ..roles() };
    for (roles, reason) in [
        (Roles::default(), "no agent user is set"),
        (Roles { agent_groups: vec![950], ..Roles::default() }, "nobody but the service"),
        (
            Roles {
                service: 900,
                agent_groups: vec![950],
                agents: vec![peer(900, &[950])],
                ..Roles::default()
            },
            "nobody but the service",
        ),
        (with(peer(0, &[])), "the agent is root"),
        (
            Roles { agent_users: vec![900], ..with(peer(900, &[])) },
            "agent and service are one user (uid 900)",
        ),
        (with(peer(1002, &[])), "agent and operator are one user (uid 1002)"),
        (with(peer(1004, &[950, 951])), "agent and operator are one user (uid 1004)"),
    ] {
        let separation = roles.separation();
        assert_eq!(separation.as_str(), "advisory", "{roles:?}");
        assert!(separation.reason().contains(reason), "{separation:?}");
    }
}

#[test]
fn automated_needs_strict_separation_or_an_operator_who_accepts() {
    let advisory = Separation::Advisory("one user".to_owned());
    assert_eq!(mode_ceiling(&Separation::Strict, false), Mode::Automated);
    assert_eq!(mode_ceiling(&advisory, true), Mode::Automated);
    assert_eq!(mode_ceiling(&advisory, false), Mode::Supervised);
}

#[test]
fn only_operators_come_in_at_the_operators_socket() {
    let roles = roles();
    for operator in [peer(0, &[]), peer(900, &[]), peer(1002, &[]), peer(5, &[7, 951])] {
        assert_eq!(roles.role_of(Role::Operator, Some(&operator)), Ok(Role::Operator));
        assert_eq!(roles.role_of(Role::Agent, Some(&operator)), Ok(Role::Agent));
    }
    for other in [Some(peer(1001, &[1001])), Some(peer(1003, &[950])), Some(peer(5, &[7])), None] {
        let refused = roles.role_of(Role::Operator, other.as_ref()).unwrap_err();
        assert_eq!(refused.code, "not_the_operator", "{refused:?}");
    }
}

#[test]
fn agents_come_in_at_theirs_and_strangers_at_none() {
    let roles = roles();
    for agent in [peer(1001, &[]), peer(1003, &[950])] {
        assert_eq!(roles.role_of(Role::Agent, Some(&agent)), Ok(Role::Agent));
    }
    for stranger in [Some(peer(5, &[5])), None] {
        assert_eq!(
            roles.role_of(Role::Agent, stranger.as_ref()).unwrap_err().code,
            "not_the_agent"
        );
        assert_eq!(roles.role_of(Role::Source, stranger.as_ref()), Ok(Role::Source));
    }
}

#[test]
fn where_all_are_one_user_it_is_let_in_everywhere() {
    let roles = Roles { service: 1000, ..Roles::default() };
    for socket in [Role::Operator, Role::Agent, Role::Source] {
        assert_eq!(roles.role_of(socket, Some(&peer(1000, &[1000]))), Ok(socket));
    }
    assert!(roles.role_of(Role::Operator, Some(&peer(1001, &[1001]))).is_err());
}

#[test]
fn a_sockets_file_is_as_narrow_as_a_mode_can_say() {
    let only = |users: &[u32], groups: &[u32]| {
        let roles = Roles {
            service: 900,
            agent_users: users.to_vec(),
            agent_groups: groups.to_vec(),
            ..Roles::default()
        };
        roles.socket_access(Role::Agent)
    };
    assert_eq!(only(&[], &[]), SocketAccess { mode: 0o660, group: None });
    assert_eq!(only(&[0, 900], &[]), SocketAccess { mode: 0o660, group: None });
    assert_eq!(only(&[], &[950]), SocketAccess { mode: 0o660, group: Some(950) });
    assert_eq!(only(&[1001], &[]), SocketAccess { mode: 0o666, group: None });
    assert_eq!(only(&[], &[950, 952]), SocketAccess { mode: 0o666, group: None });
    let in_the_group = Roles {
        agent_users: vec![1001],
        agent_groups: vec![950],
        agents: vec![peer(1001, &[950, 1001])],
        ..Roles::default()
    };
    assert_eq!(in_the_group.socket_access(Role::Agent).group, Some(950));
    assert_eq!(roles().socket_access(Role::Source), SocketAccess { mode: 0o660, group: None });
}
