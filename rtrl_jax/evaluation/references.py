"""What a random agent and a person score in Atari games: the reference of human-normalised scores (Mnih et al. 2015, Extended
Data Table 2; each pair reproduces the normalised percentage printed there).

Both were measured with random no-op starts and at most five minutes an episode; the random agent chose ten times a second.
"""

RANDOM_AND_HUMAN = {
    "Alien": (227.8, 6875),
    "Amidar": (5.8, 1676),
    "Assault": (222.4, 1496),
    "Asterix": (210.0, 8503),
    "Asteroids": (719.1, 13157),
    "Atlantis": (12850, 29028),
    "BankHeist": (14.2, 734.4),
    "BattleZone": (2360, 37800),
    "BeamRider": (363.9, 5775),
    "Bowling": (23.1, 154.8),
    "Boxing": (0.1, 4.3),
    "Breakout": (1.7, 31.8),
    "Centipede": (2091, 11963),
    "ChopperCommand": (811.0, 9882),
    "CrazyClimber": (10781, 35411),
    "DemonAttack": (152.1, 3401),
    "DoubleDunk": (-18.6, -15.5),
    "Enduro": (0.0, 309.6),
    "FishingDerby": (-91.7, 5.5),
    "Freeway": (0.0, 29.6),
    "Frostbite": (65.2, 4335),
    "Gopher": (257.6, 2321),
    "Gravitar": (173.0, 2672),
    "Hero": (1027, 25763),
    "IceHockey": (-11.2, 0.9),
    "Jamesbond": (29.0, 406.7),
    "Kangaroo": (52.0, 3035),
    "Krull": (1598, 2395),
    "KungFuMaster": (258.5, 22736),
    "MontezumaRevenge": (0.0, 4367),
    "MsPacman": (307.3, 15693),
    "NameThisGame": (2292, 4076),
    "Pong": (-20.7, 9.3),
    "PrivateEye": (24.9, 69571),
    "Qbert": (163.9, 13455),
    "Riverraid": (1339, 13513),
    "RoadRunner": (11.5, 7845),
    "Robotank": (2.2, 11.9),
    "Seaquest": (68.4, 20182),
    "SpaceInvaders": (148.0, 1652),
    "StarGunner": (664.0, 10250),
    "Tennis": (-23.8, -8.9),
    "TimePilot": (3568, 5925),
    "Tutankham": (11.4, 167.6),
    "UpNDown": (533.4, 9082),
    "Venture": (0.0, 1188),
    "VideoPinball": (16257, 17298),
    "WizardOfWor": (563.5, 4757),
    "Zaxxon": (32.5, 9173),
}


def human_normalised(environment: str, value):
    """0 is random play and 1 a person's; None where the reference is not known. `value` is a return or an array of them."""
    family, _, game = environment.partition("/")
    if family != "atari" or game not in RANDOM_AND_HUMAN:
        return None
    random, human = RANDOM_AND_HUMAN[game]
    return (value - random) / (human - random)
